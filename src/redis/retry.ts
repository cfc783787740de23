import { setTimeout as delay } from 'node:timers/promises';
import { BackpressureError, ClosedError, QueueUnavailableError } from '../errors.js';
import { accessErrorOf } from './access.js';
import { asQueueUnavailable } from './connection.js';
import { withDeadline } from './deadline.js';

const RETRY_DELAY_MS = { first: 25, max: 500 };

/**
 * Repeats what fails for reasons of the connection until the deadline: a connection for commands fails at once while Redis
 * is away, or is not connected yet.
 *
 * @param deadline in the milliseconds of `performance.now()`; asked again at each failure, for it may move
 * @throws QueueUnavailableError at the deadline; BackpressureError, ClosedError and RedisAccessError at once
 */
export async function retryUntil<T>(
  deadline: () => number,
  attempt: () => Promise<T>,
  doing: string,
): Promise<T> {
  for (let wait = RETRY_DELAY_MS.first; ; wait = Math.min(2 * wait, RETRY_DELAY_MS.max)) {
    try {
      return await attempt();
    } catch (error) {
      if (error instanceof BackpressureError || error instanceof ClosedError) throw error;
      // Too few replicas: they were waited for as long as there was time.
      if (error instanceof QueueUnavailableError && error.refused) throw error;
      const refusal = accessErrorOf(error);
      if (refusal) throw refusal;
      if (performance.now() + wait >= deadline()) throw asQueueUnavailable(error, doing);
      await delay(wait);
    }
  }
}

/** Repeats a question or command, as `retryUntil` does, and waits for no reply longer than that. @throws QueueUnavailableError */
export function askWithin<T>(timeoutMs: number, ask: () => Promise<T>, doing: string): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  return retryUntil(
    () => deadline,
    () => withDeadline(deadline, ask(), doing),
    doing,
  );
}
