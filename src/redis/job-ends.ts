import type { Cluster, Redis } from 'ioredis';
import type { QueueKeys } from './queue-keys.js';
import { Script } from './script.js';

/** How a job ended: `done`, nothing of it is left to do; `failed`, it cannot be read and is kept. */
export type JobEnd = 'done' | 'failed';

/**
 * KEYS: chunks, failed. ARGV: job prefix, payload prefix, jobs. Returns a letter for each: p, it has work to do; d, done; f, failed.
 *
 * A job that is gone is done only when its payload is gone too, which whoever commits it removes after the job. An operator who drains or
 * obliterates the queue removes the job alone: the record is not committed then, and a worker adds the job again (LostJobs).
 * A job among the failed ones that has neither payload nor index entry was added once more after it was done.
 */
const ENDS = new Script(`
  local job_prefix, payload_prefix = ARGV[1], ARGV[2]
  local function has_payload(job) return redis.call('EXISTS', payload_prefix .. job) == 1 end
  local function is_indexed(job) return redis.call('ZSCORE', KEYS[1], job) end
  local ends = {}
  for i = 3, #ARGV do
    local job, stands = ARGV[i], 'p'
    if redis.call('EXISTS', job_prefix .. job) == 0 then
      if not (has_payload(job) and is_indexed(job)) then stands = 'd' end
    elseif redis.call('ZSCORE', KEYS[2], job) then
      stands = (has_payload(job) or is_indexed(job)) and 'f' or 'd'
    end
    ends[#ends + 1] = stands
  end
  return table.concat(ends)`);

const ENDS_OF: Readonly<Record<string, JobEnd | undefined>> = { d: 'done', f: 'failed' };

/** How the jobs stand now; those that still have work to do are left out. At most a few thousand at once. */
export async function jobEnds(
  client: Redis | Cluster,
  keys: QueueKeys,
  jobIds: readonly string[],
): Promise<Map<string, JobEnd>> {
  if (jobIds.length === 0) return new Map();
  const values = [keys.jobPrefix, keys.payloadPrefix, ...jobIds];
  const letters = (await ENDS.run(client, [keys.chunks, keys.failed], values)) as string;
  return new Map(
    jobIds.flatMap((jobId, index) => {
      const end = ENDS_OF[letters[index] as string];
      return end ? [[jobId, end] as const] : [];
    }),
  );
}
