import { InvalidConfigError, PendingWritesTimeoutError } from '../errors.js';
import { checkOptions, type KnownKeys } from '../known-keys.js';
import { isWithin } from '../numbers.js';
import { timerMs } from '../redis/deadline.js';

/** Bounds a wait for commits. Whatever ends the wait, the saves stay acknowledged and queued. */
export interface WaitOptions {
  /**
   * Milliseconds until PendingWritesTimeoutError; one answer of Redis and PostgreSQL is waited for up to half a second even then, so that 0
   * tells what is done. Default: Infinity, as long as it takes.
   */
  timeoutMs?: number;
  /** Ends the wait with the reason of the signal, by default an AbortError. */
  signal?: AbortSignal;
}

const WAIT_OPTIONS = { timeoutMs: true, signal: true } satisfies KnownKeys<WaitOptions>;

/** @throws InvalidConfigError naming the option */
export function checkWaitOptions(options: WaitOptions, of: 'committed' | 'flush'): void {
  checkOptions(options, WAIT_OPTIONS, of);
  const { timeoutMs, signal } = options;
  if (timeoutMs !== undefined && !isWithin(timeoutMs, 0)) {
    throw new InvalidConfigError('timeoutMs', 'must be a number of at least 0');
  }
  if (signal !== undefined && typeof (signal as Partial<AbortSignal>)?.throwIfAborted !== 'function') {
    throw new InvalidConfigError('signal', 'must be an AbortSignal');
  }
}

/** How long one answer is waited for, whatever the limit. */
export const ONE_ANSWER_MS = 500;

/** The limit of one wait, which begins when this is made, over all its steps. */
export class WaitLimit {
  readonly timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #deadline: number;

  constructor({ timeoutMs = Number.POSITIVE_INFINITY, signal }: WaitOptions = {}) {
    this.timeoutMs = timeoutMs;
    this.#signal = signal;
    this.#deadline = performance.now() + timeoutMs;
  }

  /**
   * Settles as `work` does, or is undefined at the deadline. What `work` comes to afterwards is ignored.
   * @param atLeastMs how long to wait for it, even past the deadline
   * @throws the reason of the signal
   */
  async settle<T>(work: Promise<T>, atLeastMs = 0): Promise<T | undefined> {
    const signal = this.#signal;
    let timer: NodeJS.Timeout | undefined;
    let onAbort = () => {};
    const ended = new Promise<undefined>((resolve, reject) => {
      onAbort = () => reject(signal?.reason);
      if (signal?.aborted) onAbort();
      signal?.addEventListener('abort', onAbort, { once: true });
      if (this.#deadline === Number.POSITIVE_INFINITY) return;
      const left = Math.max(atLeastMs, this.#deadline - performance.now());
      timer = setTimeout(() => resolve(undefined), timerMs(left));
    });
    try {
      return await Promise.race([work, ended]);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }
}

/** What `work`, a question to Redis or PostgreSQL, comes to. @throws PendingWritesTimeoutError at the deadline; the reason of the signal */
export async function inTime<T extends object | string | true>(
  limit: WaitLimit,
  work: Promise<T>,
): Promise<T> {
  const result = await limit.settle(work, ONE_ANSWER_MS);
  if (result === undefined) throw new PendingWritesTimeoutError(0, limit.timeoutMs);
  return result;
}
