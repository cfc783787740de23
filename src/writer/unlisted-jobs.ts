import type { Cluster, Redis } from 'ioredis';
import type { Logger } from '../logger.js';
import type { QueueKeys } from '../redis/queue-keys.js';
import { notWaiting, requeueUnlisted, unlistedSuspects } from '../redis/unlisted-jobs.js';

/** Pages of the index that one look goes through, as long as nothing is suspect; 0.3 to 1 ms of Redis' time each. */
const PAGES = 10;
/** Jobs that one look puts back: in a long queue, the last search before that takes Redis 15 ns for each job that waits. */
const MAX_REQUEUED = 5;

/**
 * Finds jobs that are in none of BullMQ's lists, and puts them back.
 *
 * BullMQ's scripts make a job's hash first and put the job into a list later. Where Redis refuses a command in between, because a right
 * was taken away or a key is of another type, what was done stays done: no worker ever takes the job, and adding it again counts as a
 * duplicate.
 */
export class UnlistedJobs {
  #rank = 0;

  constructor(
    private readonly client: Redis | Cluster,
    private readonly keys: QueueKeys,
    private readonly logger: Logger,
  ) {}

  async look(): Promise<void> {
    const { client, keys } = this;
    const suspects = await this.#suspects();
    const unlisted = (await notWaiting(client, keys, suspects)).slice(0, MAX_REQUEUED);
    const requeued: string[] = [];
    for (const jobId of unlisted) if (await requeueUnlisted(client, keys, jobId)) requeued.push(jobId);
    if (requeued.length === 0) return;
    this.logger.warn(
      { jobs: requeued.length, jobId: requeued[0] },
      'jobs were in no list of the queue, as after a command that Redis refused; they wait again',
    );
  }

  /** Reads pages until one has suspects. */
  async #suspects(): Promise<string[]> {
    for (let pages = 0; pages < PAGES; pages++) {
      const { nextRank, suspects } = await unlistedSuspects(this.client, this.keys, this.#rank);
      this.#rank = nextRank;
      if (suspects.length > 0 || nextRank === 0) return suspects;
    }
    return [];
  }
}
