import { InvalidFilterError } from '../errors.js';
import { checkOptions, type KnownKeys } from '../known-keys.js';
import { isWithin } from '../numbers.js';

/** How to wait for what was replayed. */
export interface ReplayWaitOptions {
  /** Wait until the workers have done with what is replayed, and tell what became of it. Default true. */
  wait?: boolean;
  /** How long, after the last one is in the queue; in milliseconds. What has not ended then is `pending`. Default 30,000. */
  waitTimeoutMs?: number;
}

export interface ReplayOptions extends ReplayWaitOptions {
  /** Only count: `replayed` is how many would be. */
  dryRun?: boolean;
  /** At most so many dead letters a second. Default: as fast as it goes. */
  ratePerSecond?: number;
  /** Told after each dead letter; must not throw. */
  onProgress?: (progress: ReplayProgress) => void;
  /** Told once for each dead letter when it is known what became of it, at the end of the waiting; must not throw. */
  onOutcome?: (outcome: ReplayOutcome) => void;
  /** Aborted, it stops between two dead letters and returns what it came to; waits for nothing then. */
  signal?: AbortSignal;
}

export interface ReplayProgress {
  /** Dead letters dealt with, of about `total`. */
  readonly done: number;
  readonly total: number;
  readonly replayed: number;
  readonly skipped: number;
}

/** What became of one dead letter that was selected: each as in `ReplayResult`. */
export interface ReplayOutcome {
  readonly deadLetterId: string;
  readonly outcome: Exclude<keyof ReplayResult, 'replayed'>;
  /** Of the checkpoint; undefined where no dead letter has this id. */
  readonly id: string | undefined;
  /** Of `deadAgain`: the id that the dead letter has now, and why it is refused. The former id goes on naming it. */
  readonly nextDeadLetterId?: string;
  readonly reason?: string;
}

/**
 * What a replay came to, in records. `replayed` is the sum of all but `skipped`.
 *
 * `committed`, `superseded` and `deleted` are known where `postgres` was given to `DeadLetters`, for records of its table;
 * without it they count as `unknown`.
 */
export interface ReplayResult {
  /** In the queue again, and no dead letters any more. */
  replayed: number;
  /** Stored. */
  committed: number;
  /** Not stored, for a newer one of the same id is. */
  superseded: number;
  /** Not stored, for a delete or a clear came after it. */
  deleted: number;
  /** Refused again, and a dead letter again. */
  deadAgain: number;
  /** In the queue when the waiting ended. */
  pending: number;
  /** Done by a worker, and nothing tells what as. */
  unknown: number;
  /** Gone before their turn: replayed or purged by somebody else, or never there. */
  skipped: number;
}

const WAIT_OPTIONS = { wait: true, waitTimeoutMs: true } satisfies KnownKeys<ReplayWaitOptions>;
export const REPLAY_OPTIONS = {
  ...WAIT_OPTIONS,
  dryRun: true,
  ratePerSecond: true,
  onProgress: true,
  onOutcome: true,
  signal: true,
} satisfies KnownKeys<ReplayOptions>;

export const DEFAULT_WAIT_TIMEOUT_MS = 30_000;

/** @throws InvalidFilterError naming the option */
export function checkEditOptions(options: ReplayWaitOptions): void {
  checkOptions(options, WAIT_OPTIONS, 'edit', { Refusal: InvalidFilterError });
  checkReplayOptions(options);
}

/** @throws InvalidFilterError naming the option */
export function checkReplayOptions({ ratePerSecond, waitTimeoutMs, signal }: ReplayOptions): void {
  if (ratePerSecond !== undefined && !(isWithin(ratePerSecond, 0) && ratePerSecond > 0)) {
    throw new InvalidFilterError('ratePerSecond', 'must be a number above 0');
  }
  if (waitTimeoutMs !== undefined && !isWithin(waitTimeoutMs, 0)) {
    throw new InvalidFilterError('waitTimeoutMs', 'must be a number of at least 0');
  }
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    throw new InvalidFilterError('signal', 'must be an AbortSignal');
  }
}

export const NOTHING_REPLAYED: ReplayResult = Object.freeze({
  replayed: 0,
  committed: 0,
  superseded: 0,
  deleted: 0,
  deadAgain: 0,
  pending: 0,
  unknown: 0,
  skipped: 0,
});
