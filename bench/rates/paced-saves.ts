import { setTimeout as delay } from 'node:timers/promises';
import type { Schedule } from './schedule.js';

const DRAIN_MS = 10_000;

export interface PacedSaves {
  readonly schedule: Schedule;
  readonly windowMs: number;
  /** `Date.now()` at the start of the window. */
  readonly startAt: number;
  /** Saves that may be unanswered at once; one that is due meanwhile starts late, and its wait counts. */
  readonly maxInFlight: number;
  readonly save: () => Promise<unknown>;
  /** How long to wait for saves in flight when all are started. Default: 10 s. */
  readonly drainMs?: number;
}

export interface PacedResult {
  /** Milliseconds from when a save was due until it was acknowledged, of those that were started. */
  readonly latencies: number[];
  readonly due: number;
  /** Saves due in the window that were acknowledged when it ended. */
  readonly inTime: number;
  readonly failed: number;
  /** Still in flight when waiting for them ended. */
  readonly unanswered: number;
  /** `Date.now()` of the last acknowledgement. */
  readonly lastAt: number;
}

/**
 * Starts saves when they are due, whether or not earlier ones were acknowledged. What could not be started before the window
 * ended, because too many were in flight, is left out and shows as the difference between `due` and `latencies`.
 */
export async function pacedSaves({
  schedule,
  windowMs,
  startAt,
  maxInFlight,
  save,
  drainMs = DRAIN_MS,
}: PacedSaves): Promise<PacedResult> {
  const due = schedule.savesWithin(windowMs);
  // The monotonic clock measures; the wall clock only lets several processes start together.
  const began = performance.now() + (startAt - Date.now());
  const latencies: number[] = [];
  const inFlight = new Set<Promise<void>>();
  let released: () => void = () => {};
  let [inTime, failed, lastAt] = [0, 0, startAt];
  const start = (dueAt: number) => {
    const saving = save()
      .then(
        () => {
          const now = performance.now();
          latencies.push(now - dueAt);
          lastAt = Date.now();
          if (now - began <= windowMs) inTime++;
        },
        () => {
          failed++;
        },
      )
      .finally(() => {
        inFlight.delete(saving);
        released();
      });
    inFlight.add(saving);
  };
  for (let index = 0; index < due; index++) {
    const dueAt = began + schedule.dueMs(index);
    const ahead = dueAt - performance.now();
    // Whatever is due already starts at once: a turn of the event loop for each would be measured too.
    if (ahead > 0) await delay(Math.ceil(ahead)); // a timer drops fractions, and would start it early
    if (inFlight.size >= maxInFlight) {
      await new Promise<void>((resolve) => {
        released = resolve;
      });
      if (performance.now() - began >= windowMs) break;
    }
    start(dueAt);
  }
  const waiting = new AbortController();
  const timeout = delay(drainMs, undefined, { signal: waiting.signal }).catch(() => {});
  await Promise.race([Promise.all(inFlight), timeout]);
  waiting.abort();
  return { latencies: [...latencies], due, inTime, failed, unanswered: inFlight.size, lastAt };
}
