import { expect, it } from 'vitest';
import { testPlace, testStore } from '../store/place.js';
import { planFailpoints } from './failpoints.js';
import { Load } from './load.js';
import { FaultOracle, NOTHING_WRONG, type WholeCheckpoint } from './oracle.js';
import { startWorkerProcess, type WorkerProcess } from './worker-process.js';

/** Locks of a suspended worker expire, and its jobs are looked for, within this time. */
const COME_BACK = { comeBackMs: 2000 };
/** A batch that is suspended with locks on rows is ended by PostgreSQL after 30 s. */
const TIMEOUT_MS = 180_000;

async function openStore() {
  const place = await testPlace();
  const store = testStore(place);
  await store.initSchema();
  return { place, store, oracle: new FaultOracle() };
}

function checkpoint(number: number, fields: { version: number; text: string }): WholeCheckpoint {
  const { version, text } = fields;
  return {
    ...{ id: `checkpoint-${number}`, executionId: 'one', nodeName: 'node', metadata: null },
    ...{ state: { number, text }, timestamp: new Date(1_700_000_000_000 + number), version },
  };
}

it('workers that are suspended under load for longer than their locks hold, in turn: nothing is lost and nothing is stale', {
  timeout: TIMEOUT_MS,
}, async () => {
  const { place, store, oracle } = await openStore();
  const workers = await Promise.all([1, 2].map(() => startWorkerProcess(place, COME_BACK)));
  // Enough for as long as locks take to expire.
  const load = Load.start(store, oracle, { executions: 5, maxSaves: 200_000 });
  for (const worker of workers) {
    await load.more(200);
    worker.kill('SIGSTOP');
    // What it had in hand is among what is waited for: the other one has taken it over.
    await load.more(50);
    await store.flush();
    worker.kill('SIGCONT');
  }
  await load.more(200);
  const { acknowledged } = await load.stop();
  await store.flush();
  expect(await oracle.verify(place)).toEqual({ acknowledged, ...NOTHING_WRONG });
  expect(await place.client.zcard(place.keys.failed)).toBe(0);
  expect(workers.every(({ running }) => running)).toBe(true);
});

it('a batch that is suspended until others have written its records, and newer ones, and deleted some, changes nothing when it goes on', {
  timeout: TIMEOUT_MS,
}, async () => {
  const { place, store, oracle } = await openStore();
  const failpoints = await planFailpoints({ at: 'after_copy', action: 'hold' });
  const env = { CKPT_MAX_CONCURRENT_BATCHES: '1' };
  const suspended = await startWorkerProcess(place, { ...COME_BACK, env, failpoints });
  const save = (fields: { version: number; text: string }, numbers: readonly number[]) =>
    Promise.all(numbers.map((number) => oracle.save(store, checkpoint(number, fields))));
  const numbers = Array.from({ length: 40 }, (_, number) => number);
  await save({ version: 5, text: 'suspended' }, numbers);
  await suspended.held();
  suspended.kill('SIGSTOP');

  const other = await startWorkerProcess(place, COME_BACK);
  await store.flush();
  const quarter = (which: number) => numbers.filter((number) => number % 4 === which);
  await save({ version: 5, text: 'newer by its sequence' }, quarter(0));
  await save({ version: 6, text: 'newer by its version' }, quarter(1));
  for (const number of [...quarter(2), ...quarter(3)]) await oracle.delete(store, `checkpoint-${number}`);
  await save({ version: 0, text: 'after a delete' }, quarter(2));
  await store.flush();
  await end(other);

  suspended.goOn();
  suspended.kill('SIGCONT');
  await expect
    .poll(async () => (await suspended.stats()).records, { timeout: TIMEOUT_MS })
    .toBeGreaterThanOrEqual(1);
  await save({ version: 1, text: 'the worker works as before' }, [100]);
  await suspended.outlives(store.flush());
  expect(await oracle.verify(place)).toEqual({ acknowledged: 71, ...NOTHING_WRONG });
  expect(await place.client.zcard(place.keys.failed)).toBe(0);
});

async function end(worker: WorkerProcess): Promise<void> {
  worker.kill('SIGTERM');
  await worker.ended;
}
