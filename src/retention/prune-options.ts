import { MAX_VERSION, validName } from '../checkpoint.js';
import { MAX_AGE_MS } from '../duration.js';
import { InvalidConfigError } from '../errors.js';
import { checkOptions, type KnownKeys } from '../known-keys.js';
import { isWhole, isWithin } from '../numbers.js';

/**
 * Which checkpoints a prune removes. With both `keepLast` and `olderThan` only those that are old and not among the newest; at
 * least one of them must be given.
 */
export interface PruneOptions {
  /** Of each execution the newest so many stay, in the order of `list`. 1 to 2,147,483,647. */
  keepLast?: number;
  /** Only those whose `timestamp` lies more than so many milliseconds before now. */
  olderThan?: number;
  /** Only of this execution. Default: of all. */
  executionId?: string;
  /** Only count. Default false. */
  dryRun?: boolean;
  /** Stops between two batches; what is removed until then stays removed. */
  signal?: AbortSignal;
  /** Told after each batch what was removed, or counted, so far. */
  onProgress?: (progress: PruneProgress) => void;
}

export interface PruneProgress {
  /** Checkpoints removed; with `dryRun`, that would be. */
  readonly pruned: number;
  /**
   * Checkpoints that are due and stay until a later prune: saves of their execution that are as old wait in the queue, or are dead
   * letters, and could bring them back.
   */
  readonly heldBack: number;
}

export interface PruneResult extends PruneProgress {
  /** Whether `signal` has stopped it. */
  readonly interrupted: boolean;
}

const OPTIONS = {
  keepLast: true,
  olderThan: true,
  executionId: true,
  dryRun: true,
  signal: true,
  onProgress: true,
} satisfies KnownKeys<PruneOptions>;

/**
 * A field that is not known is refused: without it, more would be removed than was meant.
 * @throws InvalidConfigError naming the field; InvalidCheckpointError for `executionId`
 */
export function checkPruneOptions(options: PruneOptions): void {
  checkOptions(options, OPTIONS, 'prune');
  const { keepLast, olderThan, executionId } = options;
  checkAges({ keepLast, olderThan });
  if (keepLast === undefined && olderThan === undefined) {
    throw new InvalidConfigError('keepLast', 'or olderThan must be given');
  }
  if (executionId !== undefined) validName('executionId', executionId);
}

/** @throws InvalidConfigError naming the field */
export function checkAges({ keepLast, ...ages }: { keepLast?: unknown; [age: string]: unknown }): void {
  if (keepLast !== undefined && !isWhole(keepLast, 1, MAX_VERSION)) {
    throw new InvalidConfigError('keepLast', `must be a whole number from 1 to ${MAX_VERSION}`);
  }
  for (const [field, ms] of Object.entries(ages)) {
    if (ms !== undefined && !isWithin(ms, 0, MAX_AGE_MS)) {
      throw new InvalidConfigError(field, 'must be milliseconds, from 0 to a thousand years');
    }
  }
}
