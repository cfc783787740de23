import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { newCheckpoint } from '../contract/checkpoints.js';
import { type Place, testPlace, testStore } from '../store/place.js';
import { Load } from './load.js';
import { FaultOracle, NOTHING_WRONG } from './oracle.js';
import { execute, ownPostgres } from './services.js';
import { TcpProxy } from './tcp-proxy.js';
import { spawnWorkerProcess, startWorkerProcess } from './worker-process.js';

const postgres = ownPostgres();
const TIMEOUT_MS = 120_000;

/** Without a password a connection is ready after one message: what a test keeps from then on holds all that follows. */
beforeAll(async () => {
  const file = join(postgres().directory, 'data', 'pg_hba.conf');
  await writeFile(file, `host all all 127.0.0.1/32 trust\n${await readFile(file, 'utf8')}`);
  await execute(postgres().url, 'SELECT pg_reload_conf()');
});

/** @returns how many connections of ours there were */
async function terminateOurs({ pool }: Place): Promise<number> {
  const { rowCount } = await pool.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'checkpoint-queue'`,
  );
  return rowCount ?? 0;
}

it('a connection that is terminated the moment it is made ends no worker', {
  timeout: TIMEOUT_MS,
}, async () => {
  const place = await testPlace({ postgres: postgres().url });
  const proxy = await TcpProxy.before(place.postgres);
  proxy.stall('toClient');
  const worker = spawnWorkerProcess({ ...place, postgres: proxy.url });
  await worker.outlives(
    expect.poll(() => terminateOurs(place), { timeout: TIMEOUT_MS, interval: 5 }).toBe(1),
  );
  await expect.poll(() => terminateOurs(place), { interval: 5 }).toBe(0);
  // "Ready" and "terminating connection" reach the worker together.
  proxy.resume();
  await worker.ready;
  await worker.outlives(testStore(place).save(newCheckpoint(), { ack: 'committed' }));
  expect(worker.running).toBe(true);
});

it('a PostgreSQL that terminates all our connections again and again loses nothing and ends no worker', {
  timeout: TIMEOUT_MS,
}, async () => {
  const place = await testPlace({ postgres: postgres().url });
  const store = testStore(place);
  const oracle = new FaultOracle();
  const worker = await startWorkerProcess(place);
  const load = Load.start(store, oracle, { deleteEvery: 0 });
  await load.more(200);
  for (let terminated = 0; terminated < 20 && worker.running; ) {
    terminated += await terminateOurs(place);
    await delay(10);
  }
  await worker.outlives(load.more(200));
  const { acknowledged } = await load.stop();
  await worker.outlives(store.flush());
  expect(await oracle.verify(place)).toEqual({ acknowledged, ...NOTHING_WRONG });
  expect(await place.client.zcard(place.keys.failed)).toBe(0);
});
