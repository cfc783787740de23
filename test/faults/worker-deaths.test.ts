import { describe, expect, it } from 'vitest';
import { type Place, testPlace, testStore } from '../store/place.js';
import { type FailpointName, planFailpoints } from './failpoints.js';
import { Load } from './load.js';
import { FaultOracle, NOTHING_WRONG } from './oracle.js';
import { startWorkerProcess } from './worker-process.js';

/** Locks of a dead worker expire, and its jobs are looked for, within this time. */
const COME_BACK = { comeBackMs: 2000 };
/** Workers start slowly on a busy machine. */
const TIMEOUT_MS = 120_000;
const SAVES = 100;

/** Saves that wait in the queue. */
async function openLoad({
  place,
  saves = SAVES,
  executions,
  maxChunkRecords,
}: {
  place?: Place;
  saves?: number;
  executions?: number;
  maxChunkRecords?: number;
} = {}) {
  place ??= await testPlace();
  const { pool, schema } = place;
  const store = testStore(place, { maxChunkRecords });
  const oracle = new FaultOracle();
  await store.initSchema();
  const load = Load.start(store, oracle, { executions, maxSaves: saves, deleteEvery: 0, pauseMs: 0 });
  await load.more(saves);
  const storedRows = async () => {
    const { rows } = await pool.query(`SELECT count(*) FROM ${schema}.checkpoints`);
    return Number(rows[0].count);
  };
  return { place, store, oracle, storedRows };
}

describe('a worker that dies', () => {
  const points: [FailpointName, string][] = [
    ['before_copy', 'none'],
    ['mid_copy', 'none'],
    ['after_copy', 'none'],
    ['after_commit', 'some'],
    ['before_ack', 'some'],
  ];
  it.each(points)(
    'at %s, with %s of its rows committed, leaves all of them to the next one',
    {
      timeout: TIMEOUT_MS,
    },
    async (at, committed) => {
      const { place, store, oracle, storedRows } = await openLoad();
      const failpoints = await planFailpoints({ at, action: 'die' });
      const worker = await startWorkerProcess(place, { ...COME_BACK, failpoints });
      expect(await worker.ended).toEqual({ code: null, signal: 'SIGKILL' });
      expect((await storedRows()) > 0 ? 'some' : 'none').toBe(committed);
      await startWorkerProcess(place, { ...COME_BACK, failpoints });
      await store.flush();
      expect(await oracle.verify(place)).toEqual({ acknowledged: SAVES, ...NOTHING_WRONG });
    },
  );
});

it('50 jobs whose workers die after the COMMIT and before the acknowledgement are written once', {
  timeout: TIMEOUT_MS,
}, async () => {
  const [deaths, jobsEach] = [5, 10];
  const saves = deaths * jobsEach;
  const failpoints = await planFailpoints({ at: 'after_commit', action: 'die', times: deaths });
  const place = await testPlace();
  // A batch is full with all that a worker takes, so each of them dies with as many jobs.
  const setup = {
    failpoints,
    comeBackMs: 5000,
    env: { CKPT_CONCURRENCY: `${jobsEach}`, CKPT_LINGER_MS: '60000' },
  };
  const workers = await Promise.all(Array.from({ length: deaths }, () => startWorkerProcess(place, setup)));
  const { store, oracle, storedRows } = await openLoad({
    place,
    saves,
    executions: saves,
    maxChunkRecords: 1,
  });
  for (const worker of workers) expect(await worker.ended).toEqual({ code: null, signal: 'SIGKILL' });
  expect(await storedRows()).toBe(saves);
  expect(await place.client.llen(`${place.keys.jobPrefix}active`)).toBe(saves);
  const next = await startWorkerProcess(place, COME_BACK);
  await store.flush();
  expect(await oracle.verify(place)).toEqual({ acknowledged: saves, ...NOTHING_WRONG });
  expect(await next.stats()).toMatchObject({ records: saves, committed: 0, superseded: saves });
});

describe('a worker whose connection breaks', () => {
  it.each<FailpointName>(['before_copy', 'mid_copy', 'after_copy', 'after_commit'])(
    'at %s commits the batch at a later try',
    { timeout: TIMEOUT_MS },
    async (at) => {
      const { place, store, oracle } = await openLoad();
      const failpoints = await planFailpoints({ at, action: 'throw' });
      const worker = await startWorkerProcess(place, { failpoints });
      await worker.logged('batch not committed');
      await store.flush();
      expect(await oracle.verify(place)).toEqual({ acknowledged: SAVES, ...NOTHING_WRONG });
      expect((await worker.stats()).records).toBe(SAVES);
    },
  );
});

it('a worker that is held in the middle of a COPY has sent only part of it, and goes on when it is let', {
  timeout: TIMEOUT_MS,
}, async () => {
  const { place, store, oracle, storedRows } = await openLoad();
  const failpoints = await planFailpoints({ at: 'mid_copy', action: 'hold' });
  const worker = await startWorkerProcess(place, { failpoints });
  expect(await worker.held()).toBe('mid_copy');
  const copying = `SELECT wait_event FROM pg_stat_activity WHERE query LIKE 'COPY pg_temp.%' AND state = 'active'`;
  await expect
    .poll(async () => (await place.pool.query(copying)).rows)
    .toContainEqual({ wait_event: 'ClientRead' });
  expect(await storedRows()).toBe(0);
  worker.goOn();
  await store.flush();
  expect(await oracle.verify(place)).toEqual({ acknowledged: SAVES, ...NOTHING_WRONG });
});
