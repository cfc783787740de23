import { DelayedError, type Job } from 'bullmq';
import type { ChunkJob } from '../chunk.js';
import type { BatchCommitter } from './batch-committer.js';
import type { Chunk } from './chunk-reader.js';
import { SetAside } from './persistent-commit.js';

/** Until a job that was set aside comes back, doubled each time, with a jitter of half of it; in milliseconds. */
const AWAY_MS = { first: 1000, max: 30_000 };

/**
 * Puts a job back into the queue, to be taken again later, by whichever worker. It uses up no attempt.
 * @throws DelayedError, which tells BullMQ so
 */
export async function putAside(job: Job<ChunkJob, void>, token: string | undefined): Promise<never> {
  const { setAside: before = 0 } = job.data;
  const times = Number.isSafeInteger(before) ? before : 0;
  const full = Math.min(AWAY_MS.max, AWAY_MS.first * 2 ** Math.min(times, 20));
  await job.updateData({ ...job.data, setAside: times + 1 });
  // BullMQ knows delays only by the clocks of the workers' machines.
  await job.moveToDelayed(Date.now() + full / 2 + (Math.random() * full) / 2, token);
  throw new DelayedError();
}

/**
 * Where jobs are written that were set aside before: alone and one at a time, so that they hold up no batch. Few of them are in hand at
 * once; the others go back without a try, so that the rest of the worker's concurrency is for new jobs.
 */
export class SetAsideJobs {
  readonly #committer: BatchCommitter;
  readonly #maxInHand: number;
  #inHand = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** @param concurrency of the worker */
  constructor(committer: BatchCommitter, concurrency: number) {
    this.#committer = committer;
    this.#maxInHand = Math.max(1, concurrency >> 2);
  }

  /** @throws SetAside where it is to go back once more; NotCommitted when the writer gives up */
  async write(chunk: Chunk): Promise<void> {
    if (this.#inHand >= this.#maxInHand) throw new SetAside();
    this.#inHand++;
    const writing = this.#last.then(() => this.#committer.write(chunk.records));
    this.#last = writing.catch(() => {}); // told to who waits for it
    try {
      await writing;
    } finally {
      this.#inHand--;
    }
  }
}
