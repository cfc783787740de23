import { afterEach, describe, expect, it } from 'vitest';
import { newCheckpoint } from '../contract/checkpoints.js';
import { TcpProxy } from '../faults/tcp-proxy.js';
import { patient } from '../patience.js';
import { testPlace, testStore } from '../store/place.js';

const wallClock = Date.now;
const HOUR_MS = 3_600_000;
/** Long enough for a busy machine to connect. */
const ENQUEUE_TIMEOUT_MS = 3000;
/** Far beyond the deadline, far below the step. */
const GENEROUS_MS = 25_000;

/** What settimeofday or NTP does to this process' clock. */
function stepWallClock(byMs: number): void {
  Date.now = () => wallClock() + byMs;
}

afterEach(() => {
  Date.now = wallClock;
});

describe.each([-HOUR_MS, HOUR_MS])('while the wall clock steps by %i ms', (stepMs) => {
  it('every call that waits for a silent Redis ends at its deadline', async () => {
    const place = await testPlace();
    const proxy = await TcpProxy.before(place.redis);
    const store = testStore(place, { redis: proxy.url, enqueueTimeoutMs: ENQUEUE_TIMEOUT_MS });
    await store.save(newCheckpoint({ executionId: 'e' }));
    proxy.stall();
    const began = performance.now();
    const calls = Promise.allSettled([
      store.save(newCheckpoint({ executionId: 'e' })),
      store.delete('id'),
      store.clear('e'),
      store.save(newCheckpoint({ id: 'expected', version: 1 }), { expectedVersion: 0 }),
      store.latest('e', { consistency: 'latest', timeoutMs: ENQUEUE_TIMEOUT_MS }),
      store.list('e', { consistency: 'latest', timeoutMs: ENQUEUE_TIMEOUT_MS }),
    ]);
    stepWallClock(stepMs);
    for (const call of await calls) {
      expect(call).toMatchObject({ status: 'rejected', reason: { code: 'QUEUE_UNAVAILABLE' } });
    }
    const elapsedMs = performance.now() - began;
    expect(elapsedMs).toBeGreaterThan(ENQUEUE_TIMEOUT_MS / 2);
    expect(elapsedMs).toBeLessThan(patient(GENEROUS_MS));
    proxy.resume();
  });
});
