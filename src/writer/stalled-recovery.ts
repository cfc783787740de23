import { Job, type MinimalQueue } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import type { QueueKeys } from '../redis/queue-keys.js';

/** How BullMQ says that too many workers lost a job; it is the one failure that is not of our making. */
const STALLED_TOO_OFTEN = 'job stalled more than allowable limit';
const PAGE = 1000;

/**
 * Brings back jobs that BullMQ gave up by its own rule: a worker with other settings than ours, a dashboard's for instance, counts
 * how often a job was lost and fails it. That says nothing of the job. It is moved back in one step, for a job that is
 * removed and added again could be lost in between; its count of losses stays, and means nothing to our workers but that
 * they try it alone.
 * @returns how many came back
 */
export async function recoverStalled(
  queue: MinimalQueue,
  client: Redis | Cluster,
  keys: QueueKeys,
): Promise<number> {
  let recovered = 0;
  // Others stay in the set: the offset passes over them.
  for (let kept = 0; ; ) {
    const jobIds = await client.zrange(keys.failed, String(kept), String(kept + PAGE - 1));
    for (const jobId of jobIds) {
      const reason = await client.hget(keys.jobPrefix + jobId, 'failedReason');
      const job = reason === STALLED_TOO_OFTEN ? await Job.fromId(queue, jobId) : undefined;
      if (job) {
        await job.retry('failed');
        recovered++;
      } else kept++;
    }
    if (jobIds.length < PAGE) return recovered;
  }
}
