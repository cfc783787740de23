import type { Cluster, Redis } from 'ioredis';
import { addToCounters } from '../redis/counters.js';
import { type Destination, markOf, type QueueKeys } from '../redis/queue-keys.js';
import { release } from '../redis/sequence.js';
import type { BatchOutcome } from './sink.js';

/** A job that BullMQ has removed, and what its marks say. */
export interface FinishedJob {
  readonly jobId: string;
  readonly executions: readonly string[];
  readonly destination: Destination;
}

/**
 * Takes payloads, pending marks and chunk entries of finished jobs out of Redis. Only after BullMQ removed the job: a
 * job that exists always has its payload. Finished jobs gather while a removal is under way, so that under load one call
 * serves many. What a crash leaves behind is written once more: see
 * `LostJobs`.
 */
export class JobCleanup {
  #finished: FinishedJob[] = [];
  readonly #counts: BatchOutcome[] = [];
  #running: Promise<void> | undefined;

  constructor(
    private readonly client: Redis | Cluster,
    private readonly keys: QueueKeys,
    private readonly onError: (error: unknown) => void,
  ) {}

  add(finished: FinishedJob): void {
    this.#finished.push(finished);
    this.#running ??= this.#run();
  }

  /** Adds to the queue's counters, with the next removal. Approximate: a crash loses what was not told yet. */
  count(outcome: BatchOutcome): void {
    this.#counts.push(outcome);
  }

  /** Resolves when all that was added is removed, or failed to be. */
  async drain(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#finished.length > 0) {
      const batch = this.#finished.splice(0);
      const counts = this.#counts.splice(0);
      const marks = batch.flatMap(({ jobId, executions, destination }) =>
        executions.map((id) => markOf(id, jobId, destination)),
      );
      try {
        await release(
          this.client,
          this.keys,
          batch.map(({ jobId }) => jobId),
          marks,
        );
        await addToCounters(this.client, this.keys, counts);
      } catch (error) {
        this.onError(error);
      }
    }
    this.#running = undefined;
  }
}
