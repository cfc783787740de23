import { QueueUnavailableError } from '../errors.js';

/**
 * Settles as `work` does, or rejects at the deadline. BullMQ and ioredis wait for a lost Redis for minutes or for ever,
 * whatever their options, so every call that somebody awaits has a deadline of ours. The work itself goes on: what it
 * comes to after the deadline is ignored.
 *
 * @param deadline in the milliseconds of `performance.now()`
 */
export async function withDeadline<T>(deadline: number, work: Promise<T>, doing: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new QueueUnavailableError(`Redis did not answer in time while ${doing}`)),
      timerMs(deadline - performance.now()),
    );
  });
  try {
    return await Promise.race([work, expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** A timer of Node with more than 2^31 - 1 ms fires at once. */
export function timerMs(ms: number): number {
  return Math.min(Math.max(0, ms), 2 ** 31 - 1);
}

/** Counts down from now: the milliseconds that are left, at least 0. With a grace there are more. */
export function timeLeft(ms: number): (graceMs?: number) => number {
  const deadline = performance.now() + ms;
  return (graceMs = 0) => Math.max(0, deadline + graceMs - performance.now());
}

/** Whether it settled, in whichever way, within the time. What it comes to later is ignored. */
export async function settlesWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), timerMs(ms));
  });
  const settled = work.then(
    () => true,
    () => true,
  );
  const result = await Promise.race([settled, expired]);
  clearTimeout(timer);
  return result;
}
