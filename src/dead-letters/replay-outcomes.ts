import { deadLetterIdOf, replayJobIdOf } from '../chunk.js';
import { PendingWritesTimeoutError } from '../errors.js';
import type { DeadLetterJob } from '../redis/dead-letter-job.js';
import type { JobEnd } from '../redis/job-ends.js';
import type { CheckpointTable } from '../store/checkpoint-table.js';
import type { CommitWatcher } from '../store/commit-watcher.js';
import { CHECKPOINT_SINK } from '../writer/checkpoint-sink.js';
import type { DeadLetterReader } from './dead-letter-reader.js';
import type { ReplayResult } from './replay-options.js';

type Outcome = Exclude<keyof ReplayResult, 'replayed' | 'skipped'>;

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
   * @throws DatabaseError, QueueUnavailableError, ClosedError
   */
  async count(
    replayed: readonly DeadLetterJob[],
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Pick<ReplayResult, Outcome>> {
    const deadline = performance.now() + timeoutMs;
    const counts = { committed: 0, superseded: 0, deleted: 0, deadAgain: 0, pending: 0, unknown: 0 };
    for (let from = 0; from < replayed.length; from += PAGE) {
      const some = replayed.slice(from, from + PAGE);
      for (const outcome of await this.#outcomes(some, deadline, signal)) counts[outcome]++;
    }
    return counts;
  }

  async #outcomes(
    jobs: readonly DeadLetterJob[],
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<Outcome[]> {
    const ends = await this.#ends(jobs.map(jobIdOf), deadline, signal);
    const done = jobs.filter((job) => ends.get(jobIdOf(job)) === 'done');
    const outcomes: Outcome[] = jobs.flatMap((job) => {
      const end = ends.get(jobIdOf(job));
      return end === undefined ? ['pending'] : end === 'failed' ? ['unknown'] : [];
    });
    const deadAgain = await this.letters.resolve(done.map(nextLetterOf));
    const others = done.filter((job) => !deadAgain.has(nextLetterOf(job)));
    outcomes.push(...Array.from({ length: deadAgain.size }, () => 'deadAgain' as const));
    const askable = others.filter(
      ({ sink, target }) => sink === CHECKPOINT_SINK && target === this.postgres?.target,
    );
    outcomes.push(...Array.from({ length: others.length - askable.length }, () => 'unknown' as const));
    if (!this.postgres || askable.length === 0) return outcomes;
    const told = await this.postgres.table.outcomes(askable);
    return [...outcomes, ...told.map((outcome) => (outcome === 'lost' ? 'unknown' : outcome))];
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
      await this.watcher.whenEnded(jobIds, { timeoutMs, ...(signal && { signal }) });
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
