import { isReplay } from '../chunk.js';
import type { DeadLetterRecord } from '../redis/dead-letter-queue.js';
import type { ReadOptions } from './checkpoint-store.js';
import type { CommitWatcher } from './commit-watcher.js';
import type { DeadLetterLookup } from './dead-letter-lookup.js';
import { WaitLimit } from './wait-limit.js';

export const DEFAULT_READ_TIMEOUT_MS = 10_000;

export interface LatestFenceOptions {
  watcher: CommitWatcher;
  deadLetters: DeadLetterLookup;
  /** Of each dead letter, whether what it writes was deleted since. */
  deleted: (letters: readonly DeadLetterRecord[]) => Promise<boolean[]>;
  /** The error of a job that is kept among the failed ones. */
  refusal: (jobId: string) => Promise<Error>;
}

/** What a read of the latest passes first: it waits until every save of the execution that was acknowledged before is committed. */
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
    const limit = new WaitLimit({ timeoutMs });
    const { jobIds, deadLetters } = await this.options.watcher.pending(executionId, timeoutMs);
    if (jobIds.length === 0) return deadLetters;
    const [refused] = await this.options.watcher.whenEnded(jobIds, limit);
    // A read without what was refused would give an older state for the latest.
    if (refused) throw await this.options.refusal(refused);
    // Of what was waited for, some may have become dead letters.
    return true;
  }

  /** Whether a replay has put records of the execution into the queue that are not committed. @throws QueueUnavailableError */
  async replaysPending(executionId: string): Promise<boolean> {
    const { watcher } = this.options;
    const { jobIds } = await watcher.pending(executionId, DEFAULT_READ_TIMEOUT_MS);
    const replays = jobIds.filter(isReplay);
    return replays.length > 0 && (await watcher.ended(replays)).size < replays.length;
  }

  /** The dead letters of an execution that no delete has made void. */
  async unresolved(executionId: string): Promise<DeadLetterRecord[]> {
    const letters = await this.options.deadLetters.ofExecution(executionId);
    if (letters.length === 0) return [];
    const deleted = await this.options.deleted(letters);
    return letters.filter((_, index) => !deleted[index]);
  }
}
