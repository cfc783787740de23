import { deadLetterIdOf, replayJobIdOf } from '../chunk.js';
import { PendingWritesTimeoutError } from '../errors.js';
import type { DeadLetterJob } from '../redis/dead-letter-job.js';
import type { JobEnd } from '../redis/job-ends.js';
import type { CheckpointTable } from '../store/checkpoint-table.js';
import type { CommitWatcher } from '../store/commit-watcher.js';
import { WaitLimit } from '../store/wait-limit.js';
import { CHECKPOINT_SINK } from '../writer/checkpoint-sink.js';
import type { DeadLetterReader } from './dead-letter-reader.js';
import type { ReplayOptions, ReplayOutcome, ReplayResult } from './replay-options.js';

type Outcome = Exclude<ReplayOutcome['outcome'], 'skipped'>;

export interface AskableTable {
  readonly table: CheckpointTable;
  /** As jobs name it. */
  readonly target: string;
}

/** Records whose ends are asked for together. */
const PAGE = 1000;

/** Finds out what became of replayed records. */
export class ReplayOutcomes {
  constructor(
    private readonly watcher: CommitWatcher,
    private readonly letters: DeadLetterReader,
    private readonly postgres: AskableTable | undefined,
  ) {}

  /**
   * @param timeoutMs how long to wait for the jobs; 0: look once
   * @param onOutcome told of each, in the order given
   * @returns how many came to what
   * @throws DatabaseError, QueueUnavailableError, ClosedError
   */
  async count(
    replayed: readonly DeadLetterJob[],
    timeoutMs: number,
    { signal, onOutcome }: Pick<ReplayOptions, 'signal' | 'onOutcome'>,
  ): Promise<Pick<ReplayResult, Outcome>> {
    const deadline = performance.now() + timeoutMs;
    const counts = { committed: 0, superseded: 0, deleted: 0, deadAgain: 0, pending: 0, unknown: 0 };
    for (let from = 0; from < replayed.length; from += PAGE) {
      const jobs = replayed.slice(from, from + PAGE);
      const ends = await this.#ends(jobs.map(jobIdOf), deadline, signal);
      for (const outcome of await this.#outcomes(jobs, ends)) {
        counts[outcome.outcome]++;
        onOutcome?.(outcome);
      }
    }
    return counts;
  }

  async #outcomes(
    jobs: readonly DeadLetterJob[],
    ends: ReadonlyMap<string, JobEnd>,
  ): Promise<(ReplayOutcome & { outcome: Outcome })[]> {
    const done = jobs.filter((job) => ends.get(jobIdOf(job)) === 'done');
    const deadAgain = await this.letters.resolve(done.map(nextLetterOf));
    const askable = done.filter(
      (job) =>
        !deadAgain.has(nextLetterOf(job)) &&
        job.sink === CHECKPOINT_SINK &&
        job.target === this.postgres?.target,
    );
    const told = askable.length > 0 ? await this.postgres?.table.outcomes(askable) : undefined;
    const stored = new Map(askable.map((job, index) => [job, told?.[index]]));
    return jobs.map((job) => {
      const end = ends.get(jobIdOf(job));
      const again = deadAgain.get(nextLetterOf(job));
      const known = stored.get(job) ?? 'lost';
      const outcome: Outcome =
        end === undefined
          ? 'pending'
          : again
            ? 'deadAgain'
            : end === 'failed' || known === 'lost'
              ? 'unknown'
              : known;
      return {
        deadLetterId: deadLetterIdOf(job.sequence, job.replays),
        id: job.id,
        outcome,
        ...(again && { nextDeadLetterId: again.deadLetterId, reason: again.job.reason }),
      };
    });
  }

  async #ends(
    jobIds: readonly string[],
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<Map<string, JobEnd>> {
    const left = deadline - performance.now();
    if (left > 0 && !signal?.aborted) await this.#waitFor(jobIds, left, signal);
    return this.watcher.ended(jobIds);
  }

  async #waitFor(
    jobIds: readonly string[],
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    try {
      await this.watcher.whenEnded(jobIds, new WaitLimit({ timeoutMs, ...(signal && { signal }) }));
    } catch (error) {
      if (!(error instanceof PendingWritesTimeoutError) && !signal?.aborted) throw error;
    }
  }
}

function jobIdOf({ sequence, replays }: DeadLetterJob): string {
  return replayJobIdOf(sequence, replays + 1);
}

function nextLetterOf({ sequence, replays }: DeadLetterJob): string {
  return deadLetterIdOf(sequence, replays + 1);
}
