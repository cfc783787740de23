import { type Job, UnrecoverableError, WaitingError } from 'bullmq';
import type { ChunkJob } from '../chunk.js';
import { InvalidChunkError, MisroutedChunkError } from '../errors.js';
import type { Logger } from '../logger.js';
import type { Batcher } from './batcher.js';
import { type Chunk, type ChunkReader, MissingPayloadError } from './chunk-reader.js';
import { NotCommitted } from './held-write.js';
import type { JobCleanup } from './job-cleanup.js';
import type { MisroutedJobs } from './misrouted-jobs.js';
import { SetAside } from './persistent-commit.js';
import { type Quarantine, SUSPICIOUS_STALLS } from './quarantine.js';
import { putAside, type SetAsideJobs } from './set-aside.js';

export interface ChunkProcessorOptions {
  reader: ChunkReader;
  batcher: Batcher<Chunk, void>;
  quarantine: Quarantine;
  setAsideJobs: SetAsideJobs;
  misrouted: MisroutedJobs;
  cleanup: JobCleanup;
  logger: Logger;
}

/** What BullMQ's worker calls for each job: brings its chunk to its end, and tells BullMQ what becomes of the job. */
export class ChunkProcessor {
  readonly #options: ChunkProcessorOptions;
  /** Committed jobs that BullMQ is removing, with what their marks say, which go afterwards. */
  readonly #finishing = new WeakMap<object, Pick<Chunk, 'executions' | 'destination'>>();

  #inHand = 0;

  constructor(options: ChunkProcessorOptions) {
    this.#options = options;
  }

  /** Jobs that BullMQ has handed over and not got back. */
  get inHand(): number {
    return this.#inHand;
  }

  /** Resolves when all of the chunk is committed or kept as dead letters. */
  async process(job: Job<ChunkJob, void>, token: string | undefined): Promise<void> {
    this.#inHand++;
    try {
      await this.#process(job, token);
    } finally {
      this.#inHand--;
    }
  }

  async #process(job: Job<ChunkJob, void>, token: string | undefined): Promise<void> {
    const { batcher, quarantine, setAsideJobs } = this.#options;
    const chunk = await this.#read(job, token);
    if (!chunk) return;
    try {
      if (job.stalledCounter >= SUSPICIOUS_STALLS) await quarantine.write(job.id as string, chunk);
      else if (job.data.setAside) await setAsideJobs.write(chunk);
      else await batcher.add(chunk);
    } catch (error) {
      if (error instanceof SetAside) return putAside(job, token);
      if (!(error instanceof NotCommitted)) throw error;
      await job.moveToWait(token);
      throw new WaitingError();
    }
    // Cleaned up only when BullMQ has removed the job, which it does next.
    const { executions, destination } = chunk;
    this.#finishing.set(job, { executions, destination });
  }

  /** BullMQ has removed the job. */
  finished(job: Job<ChunkJob, void>): void {
    const marked = this.#finishing.get(job);
    if (marked) this.#options.cleanup.add({ jobId: job.id as string, ...marked });
  }

  /** @returns undefined for a job with nothing left to do */
  async #read(job: Job<ChunkJob, void>, token: string | undefined): Promise<Chunk | undefined> {
    const { reader, misrouted, logger } = this.#options;
    try {
      return await reader.read(job);
    } catch (error) {
      if (error instanceof MisroutedChunkError) return misrouted.putBack(job, token, error);
      if (!(error instanceof InvalidChunkError)) throw error;
      if (error instanceof MissingPayloadError) {
        if (error.isDone) {
          logger.warn({ jobId: job.id }, 'a job was added again after it was done; it is removed');
          return undefined;
        }
        // A producer that adds a job again, because the reply was lost, puts a missing payload back in a moment.
        if (job.attemptsMade === 0) throw error;
      }
      logger.error({ jobId: job.id, reason: error.message }, 'job is kept among the failed ones');
      throw new UnrecoverableError(error.message);
    }
  }
}
