import type { Place } from '../place.js';
import type { Plan } from '../plan.js';
import type { StateSet } from '../states.js';

/** In the order of the table. */
export const CONTENDER_NAMES = ['pipeline', 'upserts', 'postgres-saver', 'job-per-save', 'ceiling'] as const;
export type ContenderName = (typeof CONTENDER_NAMES)[number];

/** What is measured of a contender; absent where it does not apply. */
export interface Figures {
  /** Saves a second with 64 savers that each wait for their save, all of them committed in the end. */
  awaited?: number;
  /** The same with 2000 saves in flight, as when nobody waits for his own. */
  unawaited?: number;
  /** Milliseconds from save to acknowledgement with 64 savers. */
  p50Ms?: number;
  p99Ms?: number;
  /** Saves a second that a worker commits from a full queue, while nobody saves. */
  drain?: number;
  /** Peak resident memory of the worker process, in bytes. */
  workerRss?: number;
}

/** One measurement of one contender. */
export interface Run {
  readonly place: Place;
  readonly states: StateSet;
  readonly plan: Plan;
  readonly signal: AbortSignal;
}

/** One way to save checkpoints. It leaves tables and queue as they are afterwards, and nothing running. */
export interface Contender {
  readonly name: ContenderName;
  /** For people who read the table. */
  readonly about: string;
  measure(run: Run): Promise<Figures>;
}
