import { DelayedError, type Job } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import type { ChunkJob } from '../chunk.js';
import type { MisroutedChunkError } from '../errors.js';
import type { Logger } from '../logger.js';
import type { RedisClock } from '../redis/clock.js';
import type { QueueKeys } from '../redis/queue-keys.js';
import { readWorkers, serves, type WorkerReport } from '../redis/worker-registry.js';

/**
 * Until the next worker may take a job, in milliseconds. Where a worker for it runs, it is doubled with each time that this worker is
 * given the job. While the right worker commits, the other one has its hands free and is given most of what comes: a longer maximum (1 s)
 * left the right one without jobs.
 */
const AWAY_MS = { first: 5, max: 100, unknown: 1000, none: 5000 };
/** How long what is known of other workers holds; they report every 10 s, and when they start. */
const WORKERS_KNOWN_MS = 1000;
/** One line at most in this time: without its worker, each job comes again every 5 s. */
const LOG_INTERVAL_MS = 60_000;
/** Jobs whose returns are counted. */
const MAX_COUNTED = 10_000;

/**
 * Jobs for another table or sink than this worker writes. Several tables may share a queue, each with workers of its own; such a job is
 * put back for them, as often as needed. It uses up no attempt.
 */
export class MisroutedJobs {
  readonly #returns = new Map<string, number>();
  #workers: Promise<WorkerReport[] | undefined> = Promise.resolve(undefined);
  #workersAskedAt = Number.NEGATIVE_INFINITY;
  #silentUntil = 0;
  #suppressed = 0;

  constructor(
    private readonly client: Redis | Cluster,
    private readonly keys: QueueKeys,
    private readonly clock: Pick<RedisClock, 'nowUs'>,
    private readonly logger: Logger,
  ) {}

  /** @throws DelayedError, which tells BullMQ that the job was put back */
  async putBack(
    job: Job<ChunkJob, void>,
    token: string | undefined,
    { message: reason }: MisroutedChunkError,
  ): Promise<never> {
    const worker = await this.#workerFor(job.data);
    if (worker === 'none') this.#logNoWorker(job.id, reason);
    const waitMs = worker === 'runs' ? this.#nextWait(job.id as string) : AWAY_MS[worker];
    // BullMQ knows delays only by the clocks of the workers' machines.
    await job.moveToDelayed(Date.now() + waitMs, token);
    throw new DelayedError();
  }

  /** `unknown`: one of an earlier release, which does not say what it writes, or Redis did not tell. */
  async #workerFor(destination: ChunkJob): Promise<'runs' | 'unknown' | 'none'> {
    const now = performance.now();
    if (now - this.#workersAskedAt > WORKERS_KNOWN_MS) {
      this.#workersAskedAt = now;
      this.#workers = readWorkers(this.client, this.keys, this.clock.nowUs() / 1000).catch(() => undefined);
    }
    const workers = await this.#workers;
    if (!workers) return 'unknown';
    // One that waits for PostgreSQL takes nothing.
    const able = workers.filter((worker) => worker.breaker === 'closed' && serves(worker, destination));
    if (able.length === 0) return 'none';
    return able.some(({ destinations }) => destinations) ? 'runs' : 'unknown';
  }

  #nextWait(jobId: string): number {
    const returns = this.#returns.get(jobId) ?? 0;
    // The oldest is forgotten: it has most likely found its worker.
    this.#returns.delete(jobId);
    const [oldest] = this.#returns.keys();
    if (oldest !== undefined && this.#returns.size >= MAX_COUNTED) this.#returns.delete(oldest);
    this.#returns.set(jobId, returns + 1);
    return Math.min(AWAY_MS.max, AWAY_MS.first * 2 ** Math.min(returns, 20));
  }

  #logNoWorker(jobId: string | undefined, reason: string): void {
    const now = performance.now();
    if (now < this.#silentUntil) {
      this.#suppressed++;
      return;
    }
    this.#silentUntil = now + LOG_INTERVAL_MS;
    const suppressed = this.#suppressed > 0 ? { suppressed: this.#suppressed } : {};
    this.#suppressed = 0;
    this.logger.error(
      { jobId, reason, ...suppressed },
      'a job is for another worker, and none of that kind runs and can write',
    );
  }
}
