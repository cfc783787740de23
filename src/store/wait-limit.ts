import { InvalidConfigError } from '../errors.js';
import { checkOptions, type KnownKeys } from '../known-keys.js';
import { isWithin } from '../numbers.js';
import { timerMs } from '../redis/deadline.js';

/** Bounds a wait for commits. Whatever ends the wait, the saves stay acknowledged and will be committed. */
export interface WaitOptions {
  /** Milliseconds until PendingWritesTimeoutError. Default: Infinity, as long as it takes. */
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

/** The limit of one wait, which begins when this is made. */
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
   * @throws the reason of the signal
   */
  async settle<T>(work: Promise<T>): Promise<T | undefined> {
    const signal = this.#signal;
    let timer: NodeJS.Timeout | undefined;
    let onAbort = () => {};
    const ended = new Promise<undefined>((resolve, reject) => {
      onAbort = () => reject(signal?.reason);
      if (signal?.aborted) onAbort();
      signal?.addEventListener('abort', onAbort, { once: true });
      if (this.#deadline === Number.POSITIVE_INFINITY) return;
      timer = setTimeout(() => resolve(undefined), timerMs(this.#deadline - performance.now()));
    });
    try {
      return await Promise.race([work, ended]);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }
}
