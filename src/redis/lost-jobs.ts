import type { Cluster, Redis } from 'ioredis';
import { type Destination, marksOf, parseMark, type QueueKeys } from './queue-keys.js';
import { Script } from './script.js';

const IS_LOST = `
  local job_prefix, payload_prefix = ARGV[1], ARGV[2]
  local function is_lost(job)
    return redis.call('EXISTS', job_prefix .. job) == 0 and redis.call('EXISTS', payload_prefix .. job) == 1
  end`;

/** KEYS: chunks. ARGV: job prefix, payload prefix, rank of the first and of the last. Returns how many there are, and the lost ones. */
const PAGE_OF = new Script(`${IS_LOST}
  local jobs = redis.call('ZRANGE', KEYS[1], ARGV[3], ARGV[4])
  local reply = { #jobs }
  for _, job in ipairs(jobs) do
    if is_lost(job) then reply[#reply + 1] = job end
  end
  return reply`);

/** KEYS: chunks. ARGV: job prefix, payload prefix, jobs. Returns those that are lost. */
const STILL_LOST = new Script(`${IS_LOST}
  local reply = {}
  for i = 3, #ARGV do
    if is_lost(ARGV[i]) and redis.call('ZSCORE', KEYS[1], ARGV[i]) then reply[#reply + 1] = ARGV[i] end
  end
  return reply`);

/** Of a page of the index, in the order of sequences: those that have a payload and no job. */
export async function lostJobsOfPage(
  client: Redis | Cluster,
  keys: QueueKeys,
  from: number,
  size: number,
): Promise<{ looked: number; lost: string[] }> {
  const values = [keys.jobPrefix, keys.payloadPrefix, from, from + size - 1];
  const [looked, ...lost] = (await PAGE_OF.run(client, [keys.chunks], values)) as [number, ...string[]];
  return { looked, lost };
}

/** Those of the jobs that have an index entry and a payload, and no job. */
export async function stillLost(
  client: Redis | Cluster,
  keys: QueueKeys,
  jobIds: readonly string[],
): Promise<string[]> {
  if (jobIds.length === 0) return [];
  const values = [keys.jobPrefix, keys.payloadPrefix, ...jobIds];
  return (await STILL_LOST.run(client, [keys.chunks], values)) as string[];
}

/** What the records of jobs are for, as the marks of their executions say; without those whose marks do not. */
export async function destinationsOf(
  client: Redis | Cluster,
  keys: QueueKeys,
  jobs: ReadonlyArray<{ readonly jobId: string; readonly executionId: string | undefined }>,
): Promise<Map<string, Destination>> {
  const wanted = new Set(jobs.map(({ jobId }) => jobId));
  const found = new Map<string, Destination>();
  for (const executionId of new Set(jobs.map((job) => job.executionId))) {
    if (executionId === undefined) continue;
    for (const mark of await client.zrangebylex(keys.marks, ...marksOf(executionId))) {
      const { jobId, destination } = parseMark(mark);
      if (destination && wanted.has(jobId)) found.set(jobId, destination);
    }
  }
  return found;
}
