import { setTimeout as delay } from 'node:timers/promises';

export interface OpenLoopOptions {
  readonly perSecond: number;
  readonly forMs: number;
  /** Called with 0, 1, 2, … */
  readonly call: (index: number) => Promise<unknown>;
  readonly signal: AbortSignal;
}

/**
 * Calls that begin when they are due, whether or not those before have returned, as those of independent clients do.
 * @returns the milliseconds of each, from when it was due: what it had to wait for its turn counts.
 * Throws what a call throws, after all others ended.
 */
export async function openLoop({ perSecond, forMs, call, signal }: OpenLoopOptions): Promise<number[]> {
  const began = performance.now();
  const calls: Promise<number | { error: unknown }>[] = [];
  try {
    for (let index = 0; (index * 1000) / perSecond < forMs; index++) {
      const due = began + (index * 1000) / perSecond;
      signal.throwIfAborted();
      // What is due already is called at once: a turn of the event loop for each would measure that.
      const ahead = due - performance.now();
      if (ahead > 0) await delay(ahead, undefined, { signal });
      const measured = call(index).then(() => performance.now() - due);
      calls.push(measured.catch((error) => ({ error })));
    }
  } finally {
    await Promise.all(calls);
  }
  return (await Promise.all(calls)).map((outcome) => {
    if (typeof outcome === 'object') throw outcome.error;
    return outcome;
  });
}
