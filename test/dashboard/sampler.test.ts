import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Sampler } from '../../src/dashboard/sampler.js';
import type { QueueStats } from '../../src/redis/queue-stats.js';

const STATS: QueueStats = {
  ...{ waiting: 1, active: 2, delayed: 3, failed: 4, deadLetters: 5, oldestAgeMs: undefined, workers: [] },
  counters: { committed: 0, superseded: 0, deleted: 0, batches: 0 },
};

const SECOND = 1000;
const MINUTE = 60 * SECOND;

beforeEach(() => {
  vi.useFakeTimers({
    now: Date.UTC(2026, 0, 1),
    toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout'],
  });
});
afterEach(() => vi.useRealTimers());

/** A sampler of a queue with these totals of committed records, one for each look; `down` where Redis does not answer. */
function samplerOf(committed: () => number | 'down') {
  const read = vi.fn(async () => {
    const total = committed();
    if (total === 'down') throw new Error('away');
    return { ...STATS, counters: { ...STATS.counters, committed: total } };
  });
  return { read, sampler: new Sampler(read) };
}

it('looks every two seconds from the first question on, and tells the rate between two looks', async () => {
  let total = 100;
  const { sampler, read } = samplerOf(() => total);
  expect(read).not.toHaveBeenCalled();
  expect((await sampler.seen()).now).toMatchObject({
    committed: 100,
    committedPerSecond: null,
    oldestAgeMs: 0,
  });
  total = 150;
  await vi.advanceTimersByTimeAsync(2 * SECOND);
  const { now, samples } = await sampler.seen();
  expect(now).toMatchObject({ committed: 150, committedPerSecond: 25, at: '2026-01-01T00:00:02.000Z' });
  expect(samples).toHaveLength(2);
  await sampler.close();
});

it('tells no rate where the counters were reset', async () => {
  let total = 100;
  const { sampler } = samplerOf(() => total);
  await sampler.seen();
  total = 7;
  await vi.advanceTimersByTimeAsync(2 * SECOND);
  expect((await sampler.seen()).now).toMatchObject({ committed: 7, committedPerSecond: null });
  await sampler.close();
});

it('keeps the samples of a quarter of an hour', async () => {
  const { sampler } = samplerOf(() => 1);
  await sampler.seen();
  for (let minute = 0; minute < 40; minute++) {
    await vi.advanceTimersByTimeAsync(MINUTE);
    await sampler.seen();
  }
  const { samples } = await sampler.seen();
  expect(samples).toHaveLength(451);
  expect(samples[0]?.at).toBe('2026-01-01T00:25:00.000Z');
  await sampler.close();
});

it('keeps what it has while Redis is down, and goes on', async () => {
  let total: number | 'down' = 100;
  const { sampler } = samplerOf(() => total);
  await sampler.seen();
  total = 'down';
  await vi.advanceTimersByTimeAsync(10 * SECOND);
  expect(await sampler.seen()).toMatchObject({
    redis: 'down',
    now: null,
    workers: [],
    samples: [{ committed: 100 }],
  });
  total = 400;
  await vi.advanceTimersByTimeAsync(2 * SECOND);
  expect(await sampler.seen()).toMatchObject({
    redis: 'up',
    now: { committed: 400, committedPerSecond: 25 },
  });
  await sampler.close();
});

it('stops when nobody has asked for a quarter of an hour, and begins anew for who asks then', async () => {
  const { sampler, read } = samplerOf(() => 1);
  await sampler.seen();
  await vi.advanceTimersByTimeAsync(20 * MINUTE);
  const looks = read.mock.calls.length;
  await vi.advanceTimersByTimeAsync(20 * MINUTE);
  expect(read).toHaveBeenCalledTimes(looks);
  expect((await sampler.seen()).samples).toHaveLength(1);
  expect(read).toHaveBeenCalledTimes(looks + 1);
  await sampler.close();
});

it('has no look under way when it is closed, and makes none afterwards', async () => {
  let end = () => {};
  const read = vi.fn(() => new Promise<QueueStats>((resolve) => (end = () => resolve(STATS))));
  const sampler = new Sampler(read);
  const seen = sampler.seen();
  let closed = false;
  const closing = sampler.close().then(() => (closed = true));
  await Promise.resolve();
  expect(closed).toBe(false);
  end();
  await Promise.all([closing, seen]);
  await vi.advanceTimersByTimeAsync(MINUTE);
  expect(read).toHaveBeenCalledTimes(1);
});
