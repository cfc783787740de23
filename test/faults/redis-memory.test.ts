import { expect, it, vi } from 'vitest';
import { QueueUnavailableError } from '../../src/index.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { testPlace, testStore } from '../store/place.js';
import { Load } from './load.js';
import { FaultOracle, NOTHING_WRONG } from './oracle.js';
import { ownRedis } from './services.js';
import { startWorkerProcess } from './worker-process.js';

const redis = ownRedis();

const TIMEOUT_MS = 60_000;
const LINES_A_SECOND = 10;

/** The most lines that it wrote in any second. */
function busiestSecond(lines: ReadonlyArray<{ [field: string]: unknown }>): number {
  const counts = new Map<number, number>();
  for (const { time } of lines) {
    const second = Math.floor(Number(time) / 1000);
    counts.set(second, (counts.get(second) ?? 0) + 1);
  }
  return Math.max(...counts.values());
}

it('a Redis without memory: saves fail with the reason, workers say so seldom, and all goes on when there is some', {
  timeout: TIMEOUT_MS,
}, async () => {
  const place = await testPlace({ redis: redis().url });
  const store = testStore(place, { enqueueTimeoutMs: 500 });
  const oracle = new FaultOracle();
  const load = Load.start(store, oracle, { deleteEvery: 0 });
  await load.more(200);
  await place.client.config('SET', 'maxmemory', '1mb');
  // There are jobs that it asks for on and on.
  const worker = await startWorkerProcess(place);
  await load.more(40, 'queueUnavailable');
  // The deadline of a save may be over before the connection that the last one gave up is there again.
  await vi.waitFor(async () => {
    const error: unknown = await store.save(newCheckpoint()).catch((reason) => reason);
    expect(error).toBeInstanceOf(QueueUnavailableError);
    expect((error as QueueUnavailableError).message).toMatch(/memory/i);
  }, 10_000);
  await place.client.config('SET', 'maxmemory', '0');
  await load.more(200);
  const { acknowledged } = await load.stop();
  await worker.outlives(store.flush());
  expect(busiestSecond(worker.log)).toBeLessThanOrEqual(LINES_A_SECOND);
  expect(await oracle.verify(place)).toEqual({ acknowledged, ...NOTHING_WRONG });
  expect(await place.client.zcard(place.keys.failed)).toBe(0);
});
