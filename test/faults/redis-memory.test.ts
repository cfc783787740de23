import { expect, it } from 'vitest';
import { QueueUnavailableError } from '../../src/index.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { testPlace, testStore } from '../store/place.js';
import { Load } from './load.js';
import { FaultOracle, NOTHING_WRONG } from './oracle.js';
import { ownRedis } from './services.js';
import { startWorkerProcess } from './worker-process.js';

const redis = ownRedis();

const TIMEOUT_MS = 120_000;
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
  const error: unknown = await store.save(newCheckpoint()).catch((reason) => reason);
  expect(error).toBeInstanceOf(QueueUnavailableError);
  expect((error as QueueUnavailableError).message).toMatch(/memory/i);
  await place.client.config('SET', 'maxmemory', '0');
  await load.more(200);
  const { acknowledged } = await load.stop();
  await worker.outlives(store.flush());
  expect(busiestSecond(worker.log)).toBeLessThanOrEqual(LINES_A_SECOND);
  expect(await oracle.verify(place)).toEqual({ acknowledged, ...NOTHING_WRONG });
  expect(await place.client.zcard(place.keys.failed)).toBe(0);
});

it('a Redis that answers with a refusal keeps the connection of who asked', async () => {
  const place = await testPlace({ redis: redis().url });
  const store = testStore(place, { enqueueTimeoutMs: 2000 });
  await store.save(newCheckpoint());
  const connections = async () =>
    String(await place.client.client('LIST'))
      .match(/^id=\d+/gm)
      ?.sort()
      .join(' ');
  const before = await connections();
  await place.client.config('SET', 'maxmemory', '1mb');
  for (let save = 0; save < 3; save++) {
    await expect(store.save(newCheckpoint())).rejects.toMatchObject({
      code: 'QUEUE_UNAVAILABLE',
      refused: true,
    });
  }
  expect(await connections()).toBe(before);
  await place.client.config('SET', 'maxmemory', '0');
  await store.save(newCheckpoint());
});
