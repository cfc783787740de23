import type { Cluster, Redis } from 'ioredis';
import type { Logger } from '../logger.js';
import type { QueueKeys } from '../redis/queue-keys.js';
import { dropUnlistedJobs } from '../redis/unlisted-jobs.js';

/** Frees chunks whose jobs stand in none of BullMQ's lists, a page of the index at a look. `LostJobs` brings them back. */
export class UnlistedJobs {
  #rank = 0;

  constructor(
    private readonly client: Redis | Cluster,
    private readonly keys: QueueKeys,
    private readonly logger: Logger,
  ) {}

  async look(): Promise<void> {
    const { nextRank, dropped } = await dropUnlistedJobs(this.client, this.keys, this.#rank);
    this.#rank = nextRank;
    if (dropped.length === 0) return;
    this.logger.warn(
      { jobs: dropped.length, jobId: dropped[0] },
      'jobs were in no list of the queue, as after a command that Redis refused; they are added anew',
    );
  }
}
