import type { Save } from './saves.js';

export interface LoopOptions {
  /** How many save at the same time, each one after the other. */
  readonly savers: number;
  /** When to stop: after this time, or after this many saves. */
  readonly ends: { afterMs: number } | { afterSaves: number };
  readonly next: () => Save;
  /** Resolves when the save is acknowledged. */
  readonly save: (save: Save) => Promise<unknown>;
  readonly signal: AbortSignal;
}

export interface LoopResult {
  readonly saves: number;
  /** Milliseconds of `Date.now()`, which other processes on this machine share. */
  readonly beganAt: number;
  readonly endedAt: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Savers that begin their next save when the last one is acknowledged. Throws what a save throws, after all others ended. */
export async function closedLoop({ savers, ends, next, save, signal }: LoopOptions): Promise<LoopResult> {
  const latencies: number[] = [];
  const beganAt = Date.now();
  const endsAt = 'afterMs' in ends ? performance.now() + ends.afterMs : Number.POSITIVE_INFINITY;
  const most = 'afterSaves' in ends ? ends.afterSaves : Number.POSITIVE_INFINITY;
  let begun = 0;
  let failed = false;
  const saver = async () => {
    try {
      for (let began = performance.now(); began < endsAt && begun < most && !failed; ) {
        signal.throwIfAborted();
        begun++;
        await save(next());
        const now = performance.now();
        latencies.push(now - began);
        began = now;
      }
    } catch (error) {
      failed = true;
      throw error;
    }
  };
  const settled = await Promise.allSettled(Array.from({ length: savers }, saver));
  for (const result of settled) if (result.status === 'rejected') throw result.reason;
  const sorted = Float64Array.from(latencies).sort();
  return {
    saves: begun,
    beganAt,
    endedAt: Date.now(),
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
  };
}

function percentile(sorted: Float64Array, fraction: number): number {
  return sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)] ?? Number.NaN;
}
