import type { Cluster, Redis } from 'ioredis';
import type { QueueKeys } from './queue-keys.js';
import { Script } from './script.js';

/**
 * Of a queue that is not behind, no job is as old as this, and nothing is looked at. Also the longest that a read of the latest waits
 * for such a job; µs.
 */
const AGE_US = 10_000_000;
/** Index entries that one look goes through: 1.5 ms of Redis' time at most. */
const PAGE = 500;
/** So many jobs at the old end of the waiting list are compared with the page at once. */
const OLD_END = 2000;

/**
 * BullMQ's scripts make a job's hash first and put the job into a list later. Where Redis refuses a command in between, because a
 * right was taken away or a key is of another type, what was done stays done: the job is in no list, no worker ever takes it, and
 * adding it again counts as a duplicate.
 *
 * KEYS: chunks, `QueueKeys.undone`, `QueueKeys.ended`. ARGV: job prefix, rank of the first entry. The search of a long list takes 15 ns
 * a job, so it is made for one entry a look. Returns how many entries were looked at, and the jobs whose hash it has removed.
 */
const DROP_UNLISTED = new Script(`
  local job_prefix, from = ARGV[1], tonumber(ARGV[2])
  local waiting, paused, active, first_set = KEYS[2], KEYS[3], KEYS[4], 5
  local time = redis.call('TIME')
  local until_sequence = string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]) - ${AGE_US})
  local jobs = redis.call('ZRANGE', KEYS[1], '-inf', until_sequence, 'BYSCORE', 'LIMIT', from, ${PAGE})
  local reply, searches, at_old_end = { #jobs }, 1, nil
  local function is_at_old_end(job)
    if not at_old_end then
      at_old_end = {}
      for _, id in ipairs(redis.call('LRANGE', waiting, -${OLD_END}, -1)) do at_old_end[id] = true end
    end
    return at_old_end[job]
  end
  local function may_be_listed(job)
    if is_at_old_end(job) then return true end
    for i = first_set, #KEYS do
      if redis.call('ZSCORE', KEYS[i], job) then return true end
    end
    if redis.call('LPOS', active, job) then return true end
    if redis.call('LLEN', waiting) <= ${OLD_END} and redis.call('LLEN', paused) == 0 then return false end
    searches = searches - 1
    return searches < 0 or redis.call('LPOS', waiting, job, 'RANK', -1) or redis.call('LPOS', paused, job)
  end
  for _, job in ipairs(jobs) do
    if redis.call('EXISTS', job_prefix .. job) == 1 and not may_be_listed(job) then
      redis.call('UNLINK', job_prefix .. job)
      reply[#reply + 1] = job
    end
  end
  return reply`);

/**
 * Removes the hashes of jobs that are in none of BullMQ's lists. Their chunks are then chunks without a job, which `LostJobs` brings
 * back.
 * @param from rank in the index of chunks, in the order of sequences
 * @returns where the next look goes on
 */
export async function dropUnlistedJobs(
  client: Redis | Cluster,
  keys: QueueKeys,
  from: number,
): Promise<{ nextRank: number; dropped: string[] }> {
  const looked = [keys.chunks, ...keys.undone, ...keys.ended];
  const reply = await DROP_UNLISTED.run(client, looked, [keys.jobPrefix, from]);
  const [entries, ...dropped] = reply as [number, ...string[]];
  return { nextRank: entries < PAGE ? 0 : from + PAGE, dropped };
}
