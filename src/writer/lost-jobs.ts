import type { Cluster, Redis } from 'ioredis';
import { lostJobsOfPage, stillLost } from '../redis/lost-jobs.js';
import type { QueueKeys } from '../redis/queue-keys.js';

/**
 * A job is missing for a moment between its reservation and its addition, and between its end and its clean-up. What is missing for
 * longer is lost.
 */
const LOST_AFTER_MS = 900;
/** What could not be brought back waits for a worker that can, or for somebody to read the log. */
const RETRY_MS = 60_000;
/** Index entries that one call looks at: some 0.3 ms of Redis' time. */
const PAGE = 1000;
/** Lost jobs that are remembered; the rest is found later. */
const MAX_SUSPECTS = 100_000;
/** Lost jobs that are brought back at once. */
const BATCH = 100;

/** Brings jobs back. @returns those that it could not bring back */
export type BringBack = (jobIds: readonly string[]) => Promise<string[]>;

/**
 * Finds jobs of ours that somebody removed by BullMQ's own means (drain, clean, obliterate, remove, a dashboard), and what a process left
 * that died between two steps: their index entry and their payload are still there. Nobody knows whether they were committed, and
 * applying a record again changes nothing, so they are brought back.
 *
 * One look costs one call while nothing is lost: it goes through the index page by page, look by look, and on without a pause only as
 * long as it finds something. So one job in a backlog of 100,000 may take 100 looks, a queue that was obliterated takes two.
 */
export class LostJobs {
  /** When they are to be brought back; milliseconds of `performance.now()`. */
  readonly #suspects = new Map<string, number>();
  #rank = 0;

  constructor(
    private readonly client: Redis | Cluster,
    private readonly keys: QueueKeys,
    private readonly bringBack: BringBack,
  ) {}

  /** @param lostAfterMs how long a job must have been missing; for tests */
  async look(lostAfterMs = LOST_AFTER_MS): Promise<void> {
    await this.#bringBack();
    await this.#find(lostAfterMs);
  }

  async #bringBack(): Promise<void> {
    const now = performance.now();
    const due = [...this.#suspects].filter(([, at]) => at <= now).map(([jobId]) => jobId);
    for (let from = 0; from < due.length; from += BATCH) {
      const some = due.slice(from, from + BATCH);
      const lost = await stillLost(this.client, this.keys, some);
      const left = lost.length > 0 ? await this.bringBack(lost) : [];
      for (const jobId of some) this.#suspects.delete(jobId);
      for (const jobId of left) this.#suspects.set(jobId, performance.now() + RETRY_MS);
    }
  }

  async #find(lostAfterMs: number): Promise<void> {
    for (;;) {
      const { looked, lost } = await lostJobsOfPage(this.client, this.keys, this.#rank, PAGE);
      this.#rank = looked < PAGE ? 0 : this.#rank + PAGE;
      const found = lost.filter((jobId) => !this.#suspects.has(jobId));
      const at = performance.now() + lostAfterMs;
      for (const jobId of found) this.#suspects.set(jobId, at);
      if (looked < PAGE || found.length === 0 || this.#suspects.size >= MAX_SUSPECTS) return;
    }
  }
}
