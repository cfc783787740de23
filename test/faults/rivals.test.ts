import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { type Place, testPlace, testStore } from '../store/place.js';
import { Load } from './load.js';
import { FaultOracle, NOTHING_WRONG, type WholeCheckpoint } from './oracle.js';
import { ownPostgres } from './services.js';
import { startWorkerProcess } from './worker-process.js';

/** Longer than a rival needs from the moment when a batch waits for it. */
const DEADLOCK_TIMEOUT_MS = 200;
const postgres = ownPostgres({ args: ['-c', `deadlock_timeout=${DEADLOCK_TIMEOUT_MS}ms`] });

const TIMEOUT_MS = 120_000;
const HOLD_MS = 1500;

async function openStore() {
  const place = await testPlace({ postgres: postgres().url });
  const store = testStore(place);
  await store.initSchema();
  const worker = await startWorkerProcess(place);
  const expectAllThere = async (oracle: FaultOracle, acknowledged: number) => {
    await worker.outlives(store.flush());
    expect(await oracle.verify(place)).toEqual({ acknowledged, ...NOTHING_WRONG });
    expect(await place.client.zcard(place.keys.failed)).toBe(0);
  };
  return { place, store, oracle: new FaultOracle(), worker, expectAllThere };
}

/** Another program's connection, in a transaction. */
async function openRival({ postgres, schema }: Place): Promise<pg.Client> {
  const rival = new pg.Client({ connectionString: postgres });
  onTestFinished(() => rival.end());
  await rival.connect();
  await rival.query(`SET search_path = ${schema}`);
  // Never the one whom PostgreSQL chooses to break a deadlock.
  await rival.query(`SET deadlock_timeout = '1h'`);
  return rival;
}

/** Resolves when one of our batches waits for a lock. */
async function batchWaits({ pool }: Place): Promise<void> {
  const waiting = `SELECT FROM pg_stat_activity
    WHERE application_name = 'checkpoint-queue' AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO%'`;
  await expect
    .poll(async () => (await pool.query(waiting)).rowCount, { timeout: TIMEOUT_MS, interval: 2 })
    .toBeGreaterThan(0);
}

it.each([
  ['rows', 'SELECT FROM checkpoints FOR UPDATE'],
  ['the table', 'LOCK TABLE checkpoints IN ACCESS EXCLUSIVE MODE'],
  ['the tombstones', 'LOCK TABLE checkpoints_tombstones IN ACCESS EXCLUSIVE MODE'],
])(
  'a rival that holds locks on %s for a while, again and again, only delays commits',
  {
    timeout: TIMEOUT_MS,
  },
  async (_, lock) => {
    const { place, store, oracle, worker, expectAllThere } = await openStore();
    const load = Load.start(store, oracle, { executions: 5 });
    await load.more(100);
    const rival = await openRival(place);
    for (let times = 0; times < 2; times++) {
      await rival.query('BEGIN');
      await rival.query(lock);
      await batchWaits(place);
      await delay(HOLD_MS);
      await rival.query('ROLLBACK');
      await worker.outlives(store.flush());
    }
    const { acknowledged } = await load.stop();
    await expectAllThere(oracle, acknowledged);
  },
);

it('a rival that deadlocks with batches, ten times: each one is written at a later try', {
  timeout: TIMEOUT_MS,
}, async () => {
  const { place, store, oracle, worker, expectAllThere } = await openStore();
  const checkpoint = (id: string): WholeCheckpoint => ({
    ...{ id, executionId: 'one', nodeName: 'node', metadata: null, version: 1 },
    ...{ state: { random: randomUUID() }, timestamp: new Date(1_700_000_000_000) },
  });
  const saveAll = () => Promise.all(['a', 'b', 'c'].map((id) => oracle.save(store, checkpoint(id))));
  await saveAll();
  await store.flush();
  const rival = await openRival(place);
  for (let times = 0; times < 10; times++) {
    await rival.query('BEGIN');
    await rival.query(`SELECT FROM checkpoints WHERE id = 'c' FOR UPDATE`);
    await saveAll();
    await batchWaits(place);
    await rival.query(`SELECT FROM checkpoints WHERE id = 'a' FOR UPDATE`);
    await rival.query('COMMIT');
    await worker.outlives(store.flush());
  }
  const deadlocks = worker.log.filter(({ sqlState }) => sqlState === '40P01');
  expect(deadlocks.length).toBe(10);
  await expectAllThere(oracle, 33);
});

it('a table that is taken away under load, twice: the worker makes another, and all is in one of them', {
  timeout: TIMEOUT_MS,
}, async () => {
  const { place, store, oracle, worker, expectAllThere } = await openStore();
  const { pool, schema } = place;
  const load = Load.start(store, oracle, { deleteEvery: 0 });
  for (const away of [`${schema}_1`, `${schema}_2`]) {
    await load.more(200);
    await pool.query(`CREATE SCHEMA ${away}`);
    await pool.query(`ALTER TABLE ${schema}.checkpoints SET SCHEMA ${away}`);
    await worker.outlives(store.flush());
  }
  const { acknowledged } = await load.stop();
  await worker.outlives(store.flush());
  for (const away of [`${schema}_1`, `${schema}_2`]) {
    const { rowCount } = await pool.query(`
      INSERT INTO ${schema}.checkpoints AS t SELECT * FROM ${away}.checkpoints
      ON CONFLICT (id) DO UPDATE SET (execution_id, node_name, state, metadata, timestamp, version, write_seq) =
        (excluded.execution_id, excluded.node_name, excluded.state, excluded.metadata, excluded.timestamp,
         excluded.version, excluded.write_seq)
        WHERE (t.version, t.write_seq) < (excluded.version, excluded.write_seq)`);
    expect(rowCount).toBeGreaterThan(0);
  }
  await expectAllThere(oracle, acknowledged);
});
