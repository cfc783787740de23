import { setTimeout as delay } from 'node:timers/promises';

/** What is taken away, and given back. */
export interface Fault {
  readonly kind: string;
  /** For people. */
  readonly detail: string;
  /** Resolves when all is as before, but for what has to recover from it. Aborted, it gives back at once. */
  run(signal: AbortSignal): Promise<void>;
}

/** So long, or until the run is to end. */
export async function lasting(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}

const RETRY_MS = 200;

/** Until it succeeds: what it needs may be away because of another fault. Gives up after so many tries. @throws the last error */
export async function persistently<T>(work: () => Promise<T>, tries = 150): Promise<T> {
  for (let left = tries - 1; ; left--) {
    try {
      return await work();
    } catch (error) {
      if (left <= 0) throw error;
      await delay(RETRY_MS);
    }
  }
}
