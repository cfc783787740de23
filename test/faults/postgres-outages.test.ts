import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { testPlace, testStore } from '../store/place.js';
import { Load } from './load.js';
import { FaultOracle, NOTHING_WRONG } from './oracle.js';
import { execute, ownPostgres } from './services.js';
import { startWorkerProcess } from './worker-process.js';

const postgres = ownPostgres();

const TIMEOUT_MS = 120_000;

/** A load on the file's own PostgreSQL and a worker that connects to it as the given role. */
async function openLoad({ role = '' } = {}) {
  const place = await testPlace({ postgres: postgres().url });
  const url = new URL(place.postgres);
  if (role) {
    await execute(place.postgres, `CREATE ROLE ${role} LOGIN PASSWORD '${role}'`);
    await execute(place.postgres, `GRANT ALL ON SCHEMA ${place.schema} TO ${role}`);
    await execute(place.postgres, `GRANT ALL ON ALL TABLES IN SCHEMA ${place.schema} TO ${role}`);
    url.username = url.password = role;
  }
  const store = testStore(place);
  const oracle = new FaultOracle();
  const worker = await startWorkerProcess({ ...place, postgres: url.toString() });
  // Deletes need PostgreSQL: here it is the saves that must not notice.
  const load = Load.start(store, oracle, { deleteEvery: 0 });
  await load.more(200);
  /** Draining has resumed by itself, all that was acknowledged is there, and nothing was given up. */
  const expectAllThere = async () => {
    const { acknowledged, queueUnavailable } = await load.stop();
    await worker.outlives(store.flush());
    expect(queueUnavailable).toBe(0);
    expect(await oracle.verify(place)).toEqual({ acknowledged, ...NOTHING_WRONG });
    expect(await place.client.zcard(place.keys.failed)).toBe(0);
    expect(worker.running).toBe(true);
  };
  return { place, worker, load, expectAllThere };
}

it('a PostgreSQL that is stopped for a while: saves go on, and are committed when it is back', {
  timeout: TIMEOUT_MS,
}, async () => {
  const { worker, load, expectAllThere } = await openLoad();
  await postgres().kill('SIGINT');
  await worker.logged('batch not committed');
  await load.more(500);
  await postgres().restart();
  await load.more(100);
  await expectAllThere();
});

it('a PostgreSQL that is killed with batches under way', { timeout: TIMEOUT_MS }, async () => {
  const { worker, load, expectAllThere } = await openLoad();
  await postgres().kill('SIGKILL');
  await worker.logged('batch not committed');
  await load.more(200);
  await postgres().restart();
  await expectAllThere();
});

it('a PostgreSQL that only reads for a while', { timeout: TIMEOUT_MS }, async () => {
  const { place, worker, load, expectAllThere } = await openLoad();
  await execute(place.postgres, 'ALTER SYSTEM SET default_transaction_read_only = on');
  await execute(place.postgres, 'SELECT pg_reload_conf()');
  expect(await worker.logged('batch not committed')).toMatchObject({ sqlState: '25006' });
  await load.more(200);
  await execute(place.postgres, 'ALTER SYSTEM RESET default_transaction_read_only');
  await execute(place.postgres, 'SELECT pg_reload_conf()');
  await load.more(200);
  await expectAllThere();
});

it('a PostgreSQL that refuses the password until it is put right', { timeout: TIMEOUT_MS }, async () => {
  const { place, worker, load, expectAllThere } = await openLoad({ role: 'rotated' });
  await execute(place.postgres, `ALTER ROLE rotated PASSWORD 'another'`);
  await place.pool.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotated'`);
  const refused = await worker.logged('somebody has to act');
  expect(refused).toMatchObject({ failure: 'environment', sqlState: '28P01' });
  await load.more(200);
  await execute(place.postgres, `ALTER ROLE rotated PASSWORD 'rotated'`);
  await load.more(200);
  await expectAllThere();
});

it('a PostgreSQL whose connections others have taken, until they let go', {
  timeout: TIMEOUT_MS,
}, async () => {
  const { place, worker, load, expectAllThere } = await openLoad({ role: 'crowded' });
  const url = new URL(place.postgres);
  url.username = url.password = 'crowded';
  const others = Array.from({ length: 3 }, () => new pg.Client({ connectionString: url.toString() }));
  for (const other of others) {
    onTestFinished(() => other.end());
    await other.connect();
  }
  await execute(place.postgres, `ALTER ROLE crowded CONNECTION LIMIT ${others.length}`);
  const ours = `FROM pg_stat_activity WHERE usename = 'crowded' AND application_name = 'checkpoint-queue'`;
  await place.pool.query(`SELECT pg_terminate_backend(pid) ${ours}`);
  await worker.logged('batch not committed');
  await load.more(200);
  expect((await place.pool.query(`SELECT ${ours}`)).rowCount).toBe(0);
  for (const other of others) await other.end();
  await load.more(200);
  await expectAllThere();
});
