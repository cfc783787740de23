import { randomInt } from 'node:crypto';
import { expect, it } from 'vitest';
import { testPlace, testStore } from '../store/place.js';
import { actedAt, planFailpoints } from './failpoints.js';
import { Load } from './load.js';
import { FaultOracle, NOTHING_WRONG } from './oracle.js';
import { spawnWorkerProcess, startWorkerProcess, type WorkerProcess } from './worker-process.js';

/** Locks of a dead worker expire, and its jobs are looked for, within this time. */
const COME_BACK = { comeBackMs: 2000 };
/** For one that is to come back again and again. */
const SOON = { comeBackMs: 1000 };
const DEATHS = 5;
/** Workers start slowly on a busy machine. */
const TIMEOUT_MS = 180_000;

it('kill -9 of workers ten times, at any moment, under load: nothing is lost and nothing is stale', {
  timeout: TIMEOUT_MS,
}, async () => {
  const place = await testPlace();
  const store = testStore(place);
  const oracle = new FaultOracle();
  await store.initSchema();
  const spawn = () => spawnWorkerProcess(place, COME_BACK);
  const workers = [spawn(), spawn(), spawn()];
  const load = Load.start(store, oracle, { maxSaves: 50_000 });
  for (let kills = 0; kills < 10; kills++) {
    // The others work, or start, meanwhile.
    const worker = workers.shift() as WorkerProcess;
    await worker.ready;
    await load.more(randomInt(1, 300));
    worker.kill('SIGKILL');
    expect(await worker.ended).toEqual({ code: null, signal: 'SIGKILL' });
    workers.push(spawn());
  }
  await workers[0]?.ready;
  const { acknowledged } = await load.stop();
  await store.flush();
  expect(await oracle.verify(place)).toEqual({ acknowledged, ...NOTHING_WRONG });
  expect(await place.client.zcard(place.keys.failed)).toBe(0);
});

it('a chunk outlives the death of every worker that takes it', { timeout: TIMEOUT_MS }, async () => {
  const place = await testPlace();
  const store = testStore(place);
  const oracle = new FaultOracle();
  await store.initSchema();
  const failpoints = await planFailpoints({ at: 'after_copy', action: 'die', times: DEATHS });
  const start = () => startWorkerProcess(place, { ...SOON, failpoints });
  const workers = await Promise.all(Array.from({ length: DEATHS + 1 }, start));
  const load = Load.start(store, oracle, { executions: 1, maxSaves: 1 });
  await load.more(1);
  await store.flush();
  expect(await actedAt(failpoints, 'after_copy')).toBe(DEATHS);
  await expect.poll(() => workers.filter(({ running }) => running).length).toBe(1);
  expect(await oracle.verify(place)).toEqual({ acknowledged: 1, ...NOTHING_WRONG });
});
