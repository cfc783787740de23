// Loaded before each test file, and imported where a test measures time.
import { availableParallelism, loadavg } from 'node:os';
import { expect, vi } from 'vitest';

/** Until a wait of a test gives up, at least. It ends when what it waits for is there, so that only a failure takes so long. */
export const PATIENCE_MS = 60_000;

type Wait = { timeout?: number; interval?: number };

/** vitest gives up after a second, or after what a test takes for long on a machine that has nothing else to do. */
function patiently<Args extends [unknown, (number | Wait)?]>(wait: (...args: Args) => unknown): never {
  return ((callback: unknown, options: number | Wait = {}) => {
    const given = typeof options === 'number' ? { timeout: options } : options;
    const timeout = Math.max(given.timeout ?? 0, PATIENCE_MS);
    return wait(...([callback, { ...given, timeout }] as unknown as Args));
  }) as never;
}

vi.waitFor = patiently(vi.waitFor);
vi.waitUntil = patiently(vi.waitUntil);
expect.poll = patiently(expect.poll);

/**
 * The bound of a time that is measured: on a machine with more to do than it has cores, as many times more as there are processes for
 * each core that want to run.
 */
export function patient(ms: number): number {
  const [lastMinute = 0] = loadavg();
  return ms * Math.max(1, lastMinute / availableParallelism());
}
