import { randomUUID } from 'node:crypto';
import type { Cluster, Redis } from 'ioredis';
import type { QueueKeys } from './queue-keys.js';
import { Script } from './script.js';

/**
 * One clock for all producers: `max(last + 1, TIME in µs)`, and above what the caller has seen from another clock. After a wiped Redis, new numbers are still above the old ones
 * as long as its clock did not go back. Numbers stay exact in Lua and JavaScript until the year 2255.
 */
const NEXT_SEQUENCE = `
  local function next_sequence(key, count, above)
    local time = redis.call('TIME')
    local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
    local first = math.max(tonumber(redis.call('GET', key) or '0') + 1, now, above + 1)
    redis.call('SET', key, string.format('%.0f', first + count - 1))
    return first
  end`;

const NEXT = new Script(`${NEXT_SEQUENCE}
  return string.format('%.0f', next_sequence(KEYS[1], 1, tonumber(ARGV[1])))`);

const RAISE = new Script(`
  if tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
  return 1`);

/**
 * Gives a chunk its sequence, its payload key and its pending marks, in one step, before its job is added. With a job
 * given (a second try, or a record with a sequence from before), it makes sure of the same for that one.
 */
const RESERVE = new Script(`${NEXT_SEQUENCE}
  local count, limit, arrived, payload_prefix = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[5], ARGV[6]
  local job, first = ARGV[3], ARGV[4]
  if job == '' then
    local depth = redis.call('LLEN', KEYS[4])
    if limit > 0 and depth >= limit then
      redis.call('UNLINK', arrived)
      return -depth
    end
    first = string.format('%.0f', next_sequence(KEYS[1], count, tonumber(ARGV[7])))
    job = 'w-' .. first
  end
  redis.call('RENAME', arrived, payload_prefix .. job)
  redis.call('PERSIST', payload_prefix .. job)
  redis.call('ZADD', KEYS[2], first, job)
  local marks = {}
  for i = 8, #ARGV do
    marks[#marks + 1] = 0
    marks[#marks + 1] = ARGV[i] .. '\\0' .. job
  end
  redis.call('ZADD', KEYS[3], unpack(marks))
  return first`);

/**
 * Removes what RESERVE made, for jobs that are done. A job that is there again is left alone: its producer, whose reply was
 * lost, has added it once more. ARGV: payload prefix, job prefix, number of jobs, jobs, marks.
 */
const RELEASE = new Script(`
  local payload_prefix, job_prefix, jobs = ARGV[1], ARGV[2], tonumber(ARGV[3])
  local function gone(job) return redis.call('EXISTS', job_prefix .. job) == 0 end
  for i = 4, 3 + jobs do
    if gone(ARGV[i]) then
      redis.call('UNLINK', payload_prefix .. ARGV[i])
      redis.call('ZREM', KEYS[1], ARGV[i])
    end
  end
  for i = 4 + jobs, #ARGV do
    if gone(string.match(ARGV[i], '[^%z]*$')) then redis.call('ZREM', KEYS[2], ARGV[i]) end
  end
  return jobs`);

/** A sequence for one operation that does not pass through the queue: a delete's fence, an oversize checkpoint. */
export async function nextSequence(client: Redis | Cluster, keys: QueueKeys, above = 0): Promise<number> {
  return Number(await NEXT.run(client, [keys.sequence], [above]));
}

/** Makes all later sequences higher than this one, which came from another clock. */
export async function raiseSequence(client: Redis | Cluster, keys: QueueKeys, above: number): Promise<void> {
  await RAISE.run(client, [keys.sequence], [String(above)]);
}

export interface Reservation {
  readonly records: number;
  readonly payload: Buffer;
  readonly executions: readonly string[];
  /** A sequence from another clock, above which the first one has to be. Default 0. */
  readonly above?: number;
  /** Jobs that may wait before new chunks are refused; 0: no limit. */
  readonly maxQueueDepth: number;
}

export type Reserved = { kind: 'reserved'; firstSequence: number } | { kind: 'full'; depth: number };

/** A payload that was sent ahead and never taken, because its producer died in between, goes by itself. */
const ARRIVED_TTL_SECONDS = 600;

/**
 * The payload goes ahead as a plain SET on the same connection, whose value Redis takes over as it was received; through the
 * script it would be copied twice more (28 instead of 36 µs of Redis' CPU for a state of 8 KB).
 */
export async function reserve(
  client: Redis | Cluster,
  keys: QueueKeys,
  { records, payload, executions, above = 0, maxQueueDepth }: Reservation,
  job?: { readonly jobId: string; readonly firstSequence: number },
): Promise<Reserved> {
  const { key: arrived, sent } = sendAhead(client, keys, payload);
  const [, reply] = await Promise.all([
    sent,
    RESERVE.run(
      client,
      [keys.sequence, keys.chunks, keys.marks, keys.waiting],
      [
        records,
        maxQueueDepth,
        job?.jobId ?? '',
        job?.firstSequence ?? '',
        arrived,
        keys.payloadPrefix,
        above,
        ...executions,
      ],
    ),
  ]);
  const value = Number(reply);
  return value < 0 ? { kind: 'full', depth: -value } : { kind: 'reserved', firstSequence: value };
}

/** Sends a payload to a key of its own, for a script that is sent right behind it to take over. */
export function sendAhead(
  client: Redis | Cluster,
  keys: QueueKeys,
  payload: Buffer,
): { key: string; sent: Promise<unknown> } {
  const key = `${keys.payloadPrefix}arrived-${randomUUID()}`;
  return { key, sent: client.set(key, payload, 'EX', ARRIVED_TTL_SECONDS) };
}

/** Most marks in one call: Lua's stack holds about 8,000 arguments. */
const MARKS_A_CALL = 5000;

export async function release(
  client: Redis | Cluster,
  keys: QueueKeys,
  jobIds: readonly string[],
  marks: readonly string[],
): Promise<void> {
  if (jobIds.length + marks.length === 0) return;
  for (let from = 0; from === 0 || from < marks.length; from += MARKS_A_CALL) {
    const jobs = from === 0 ? jobIds : [];
    await RELEASE.run(
      client,
      [keys.chunks, keys.marks],
      [keys.payloadPrefix, keys.jobPrefix, jobs.length, ...jobs, ...marks.slice(from, from + MARKS_A_CALL)],
    );
  }
}
