import type { DeadLetterRecord } from '../redis/dead-letter-queue.js';
import type { ReadOptions } from './checkpoint-store.js';
import type { StoredCheckpoint } from './checkpoint-table.js';
import type { CommitWatcher } from './commit-watcher.js';
import { type DeadLetterLookup, deadLettered } from './dead-letter-lookup.js';

export const DEFAULT_READ_TIMEOUT_MS = 10_000;

/** Reads what `read` finds, and `id` says of which checkpoint alone, if not of all of the execution. */
export interface FencedRead {
  readonly executionId: string;
  readonly id?: string;
  readonly read: () => Promise<StoredCheckpoint | undefined>;
}

export interface LatestFenceOptions {
  watcher: CommitWatcher;
  deadLetters: DeadLetterLookup;
  /** Of each dead letter, whether what it writes was deleted since. */
  deleted: (letters: readonly DeadLetterRecord[]) => Promise<boolean[]>;
  /** The error of a job that is kept among the failed ones. */
  refusal: (jobId: string) => Promise<Error>;
}

/**
 * Reads of the latest: they wait until every save of the execution that was acknowledged before is committed, and throw where
 * the newest of them cannot be, for what is stored is then an older state.
 */
export class LatestFence {
  constructor(private readonly options: LatestFenceOptions) {}

  /**
   * Waits, if the options say so, for what is acknowledged.
   * @returns whether any of the execution may be among the dead letters
   * @throws PendingWritesTimeoutError, QueueUnavailableError, WriteRefusedError
   */
  async pass(
    executionId: string,
    { consistency = 'committed', timeoutMs = DEFAULT_READ_TIMEOUT_MS }: ReadOptions,
  ): Promise<boolean> {
    if (consistency === 'committed') return false;
    const deadline = performance.now() + timeoutMs;
    const { jobIds, deadLetters } = await this.options.watcher.pending(executionId, timeoutMs);
    if (jobIds.length === 0) return deadLetters;
    const [refused] = await this.options.watcher.whenEnded(jobIds, Math.max(0, deadline - performance.now()));
    // A read without what was refused would give an older state for the latest.
    if (refused) throw await this.options.refusal(refused);
    // Of what was waited for, some may have become dead letters.
    return true;
  }

  /** @throws DeadLetteredError where a newer save than what was read is among the dead letters; as `pass` */
  async read(
    { executionId, id, read }: FencedRead,
    options: ReadOptions,
  ): Promise<StoredCheckpoint | undefined> {
    const maybeRefused = await this.pass(executionId, options);
    const found = await read();
    if (!maybeRefused) return found;
    const [newest] = (await this.unresolved(executionId, found?.sequence))
      .filter(({ job }) => id === undefined || job.id === id)
      .sort((a, b) => b.job.sequence - a.job.sequence);
    if (newest) throw deadLettered(newest);
    return found;
  }

  /** The dead letters of an execution that no delete has made void. */
  async unresolved(executionId: string, above?: number): Promise<DeadLetterRecord[]> {
    const letters = await this.options.deadLetters.ofExecution(executionId, above);
    if (letters.length === 0) return [];
    const deleted = await this.options.deleted(letters);
    return letters.filter((_, index) => !deleted[index]);
  }
}
