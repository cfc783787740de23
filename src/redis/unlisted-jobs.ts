import type { Cluster, Redis } from 'ioredis';
import type { QueueKeys } from './queue-keys.js';
import { Script } from './script.js';

/** Of a queue that is not behind, no job is as old as this, and nothing is looked at; µs. */
const AGE_US = 10_000_000;
/** Index entries that one call looks at. */
const PAGE = 200;
/** So many jobs at the old end of the waiting list are compared with the page: in a queue in order, the whole page is among them. */
const OLD_END = 1000;
/** Jobs of the waiting list that one call reads. */
const LIST_PAGE = 10_000;

/**
 * KEYS: chunks, `QueueKeys.undone`, `QueueKeys.ended`. ARGV: job prefix, rank of the first entry. Returns how many entries are that old,
 * and of them the jobs that have a hash and stand in no set, not in the active list and not at the old end of the waiting one.
 */
const SUSPECTS = new Script(`
  local job_prefix, from = ARGV[1], tonumber(ARGV[2])
  local waiting, paused, active, first_set = KEYS[2], KEYS[3], KEYS[4], 5
  local time = redis.call('TIME')
  local until_sequence = string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]) - ${AGE_US})
  local jobs = redis.call('ZRANGE', KEYS[1], '-inf', until_sequence, 'BYSCORE', 'LIMIT', from, ${PAGE})
  local reply, listed = { #jobs }, {}
  if #jobs == 0 then return reply end
  local function list(key, first)
    for _, id in ipairs(redis.call('LRANGE', key, first, -1)) do listed[id] = true end
  end
  list(waiting, -${OLD_END})
  list(paused, -${OLD_END})
  list(active, 0)
  local function is_in_set(job)
    for i = first_set, #KEYS do
      if redis.call('ZSCORE', KEYS[i], job) then return true end
    end
  end
  for _, job in ipairs(jobs) do
    if not listed[job] and redis.call('EXISTS', job_prefix .. job) == 1 and not is_in_set(job) then
      reply[#reply + 1] = job
    end
  end
  return reply`);

/**
 * KEYS: as above, then BullMQ's marker and meta. ARGV: job prefix, a job. Puts it where it is taken next, if it is in no list still; returns
 * whether it did. The marker is what wakes idle workers.
 */
const REQUEUE = new Script(`
  local job = ARGV[2]
  local function is_listed()
    for i = 2, 4 do
      if redis.call('LPOS', KEYS[i], job, 'RANK', -1) then return true end
    end
    for i = 5, #KEYS - 2 do
      if redis.call('ZSCORE', KEYS[i], job) then return true end
    end
  end
  if redis.call('EXISTS', ARGV[1] .. job) == 0 or is_listed() then return 0 end
  redis.call('RPUSH', KEYS[2], job)
  if redis.call('HEXISTS', KEYS[#KEYS], 'paused') == 0 then redis.call('ZADD', KEYS[#KEYS - 1], 0, '0') end
  return 1`);

/** A page of the index of chunks, in the order of sequences, beginning at a rank. */
export interface UnlistedPage {
  /** Where the next one begins; 0 after the last. */
  readonly nextRank: number;
  /** Jobs that are in none of BullMQ's lists and sets, or far from the old end of the waiting list. */
  readonly suspects: string[];
}

export async function unlistedSuspects(
  client: Redis | Cluster,
  keys: QueueKeys,
  rank: number,
): Promise<UnlistedPage> {
  const reply = await SUSPECTS.run(
    client,
    [keys.chunks, ...keys.undone, ...keys.ended],
    [keys.jobPrefix, rank],
  );
  const [entries, ...suspects] = reply as [number, ...string[]];
  return { nextRank: entries < PAGE ? 0 : rank + PAGE, suspects };
}

/** Those of the jobs that were not seen in the waiting list, which is read in parts: no single call holds up Redis. */
export async function notWaiting(
  client: Redis | Cluster,
  keys: QueueKeys,
  jobIds: readonly string[],
): Promise<string[]> {
  const left = new Set(jobIds);
  for (let from = 0; left.size > 0; from += LIST_PAGE) {
    const page = await client.lrange(keys.waiting, -from - LIST_PAGE, -from - 1);
    for (const jobId of page) left.delete(jobId);
    if (page.length < LIST_PAGE) break;
  }
  return [...left];
}

/** Puts a job into the waiting list that is in no list. @returns false if it is in one, or gone */
export async function requeueUnlisted(
  client: Redis | Cluster,
  keys: QueueKeys,
  jobId: string,
): Promise<boolean> {
  const looked = [keys.chunks, ...keys.undone, ...keys.ended, keys.marker, keys.meta];
  return (await REQUEUE.run(client, looked, [keys.jobPrefix, jobId])) === 1;
}
