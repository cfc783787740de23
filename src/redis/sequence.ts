import { randomUUID } from 'node:crypto';
import type { Cluster, Redis } from 'ioredis';
import { SequenceOutOfRangeError } from '../errors.js';
import { QUEUE_DEPTH } from './queue-depth.js';
import { type Destination, destinationPrefix, type QueueKeys } from './queue-keys.js';
import { Script } from './script.js';

/**
 * Sequences stay below this: every number up to here is exact in Lua and JavaScript, with room for 10^12 more above it. As µs since 1970,
 * the year 2255.
 */
const MAX_SEQUENCE = Number.MAX_SAFE_INTEGER - 1e12;
/**
 * A sequence may be ahead of Redis' clock by this much. Clocks differ by seconds, or by hours where a time zone is wrong; beyond a day
 * the number comes from a damaged file, row or key. Handed out, it would make every later save of the same version look older once
 * Redis is wiped.
 */
export const MAX_AHEAD_US = 24 * 3600 * 1e6;
/** The highest sequence that is accepted at a time of Redis' clock; µs. */
export function highestSequence(redisTimeUs: number): number {
  return Math.min(MAX_SEQUENCE, Math.floor(redisTimeUs) + MAX_AHEAD_US);
}

/** Begins the error reply of a script that would have to accept or hand out another number. */
const OUT_OF_RANGE = 'SEQUENCEOUTOFRANGE';

/**
 * `clock()`: Redis' time in µs. `in_range(sequence, now)`: whether it may be accepted. `next_sequence(key, count, above, now)`: the
 * first of `count` new numbers, or nil and an error reply.
 *
 * One clock for all producers: `max(last + 1, TIME in µs)`, and above what the caller has seen from another clock, if that is in
 * range. After a wiped Redis, new numbers are still above the old ones as long as its clock did not go back.
 */
export const SEQUENCE_FUNCTIONS = `
  local function clock()
    local time = redis.call('TIME')
    return tonumber(time[1]) * 1000000 + tonumber(time[2])
  end
  local function in_range(sequence, now)
    -- NaN is in no range: every comparison with it is false.
    return sequence ~= nil and sequence >= 0 and sequence % 1 == 0
      and sequence <= now + ${MAX_AHEAD_US} and sequence <= ${MAX_SEQUENCE}
  end
  local function out_of_range(what)
    return redis.error_reply('${OUT_OF_RANGE} ' .. what)
  end
  local function next_sequence(key, count, above, now)
    local last = redis.pcall('GET', key)
    if type(last) == 'table' and not string.find(last.err, 'WRONGTYPE') then return nil, last end
    last = type(last) == 'table' and 'of another type' or last or '0'
    local first = math.max((tonumber(last) or 0) + 1, now)
    if in_range(above, now) then first = math.max(first, above + 1) end
    if not in_range(tonumber(last), now) or not in_range(first + count - 1, now) then
      return nil, out_of_range('the last sequence in Redis')
    end
    redis.call('SET', key, string.format('%.0f', first + count - 1))
    return first
  end`;

/** KEYS: sequence. ARGV: a sequence that the new one must be above. Returns the new one. */
const NEXT = new Script(`${SEQUENCE_FUNCTIONS}
  local sequence, refusal = next_sequence(KEYS[1], 1, tonumber(ARGV[1]), clock())
  return refusal or string.format('%.0f', sequence)`);

/** KEYS: sequence. ARGV: the sequence to raise it to. */
const RAISE = new Script(`${SEQUENCE_FUNCTIONS}
  local now, wanted = clock(), tonumber(ARGV[1])
  if not in_range(wanted, now) then return out_of_range('the sequence of a stored row') end
  local last = redis.pcall('GET', KEYS[1])
  if type(last) == 'table' and not string.find(last.err, 'WRONGTYPE') then return last end
  last = type(last) == 'table' and -1 or tonumber(last or '0')
  if not in_range(last, now) then return out_of_range('the last sequence in Redis') end
  if last < wanted then redis.call('SET', KEYS[1], string.format('%.0f', wanted)) end
  return 1`);

/**
 * Gives a chunk its sequence, its payload key and its pending marks, in one step, before its job is added. With a job
 * given (a record with a sequence from before), or one that an earlier call with the same token got, it makes sure of the same for
 * that one. The payload of another job is never replaced: a Redis that lost its last second and whose clock went back may give a
 * number twice.
 */
const RESERVE = new Script(`${SEQUENCE_FUNCTIONS}${QUEUE_DEPTH}
  local count, limit, arrived, payload_prefix = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[5], ARGV[6]
  local job, first, remember_ms, now = ARGV[3], ARGV[4], tonumber(ARGV[9]), clock()
  local function refused(reply)
    redis.call('UNLINK', arrived)
    return reply
  end
  local reserved = remember_ms > 0 and redis.call('GET', KEYS[4])
  if reserved then
    first = reserved
    job = 'w-' .. first
  end
  -- A client of the application may send this again by itself, without the payload that went ahead, which the first run has taken.
  local arrives = redis.call('EXISTS', arrived) == 1
  if job == '' and not arrives then return redis.error_reply('ERR the payload did not arrive') end
  local not_after = tonumber(ARGV[10])
  if job == '' and not_after > 0 and now > not_after then return refused(string.format('late %.0f', now)) end
  if job == '' then
    local depth = limit > 0 and queue_depth(5) or 0
    if limit > 0 and depth >= limit then
      return refused(-depth)
    end
    local sequence, refusal = next_sequence(KEYS[1], count, tonumber(ARGV[7]), now)
    if refusal then return refused(refusal) end
    first = string.format('%.0f', sequence)
    job = 'w-' .. first
  elseif not in_range(tonumber(first) + count - 1, now) then
    return refused(out_of_range('the sequence of the record'))
  end
  local payload = payload_prefix .. job
  local is_there = redis.call('EXISTS', payload) == 1
  if not arrives and not is_there then
    -- The chunk of the first run has been committed and cleaned up.
    return reserved and first or redis.error_reply('ERR the payload did not arrive')
  end
  if arrives and is_there and redis.call('GET', payload) ~= redis.call('GET', arrived) then return refused('taken') end
  redis.call('ZADD', KEYS[2], first, job)
  if remember_ms > 0 then redis.call('SET', KEYS[4], first, 'PX', remember_ms) end
  local marks = {}
  for i = 11, #ARGV do
    marks[#marks + 1] = 0
    marks[#marks + 1] = ARGV[i] .. '\\0' .. ARGV[8] .. job
  end
  redis.call('ZADD', KEYS[3], unpack(marks))
  -- Last: where a command is refused, the sweep finds an entry without a payload, and nobody a payload without an entry.
  if is_there then
    redis.call('UNLINK', arrived)
  else
    redis.call('RENAME', arrived, payload)
    redis.call('PERSIST', payload)
  end
  return first`);

/**
 * Removes what RESERVE made, for jobs that are done. A job that is there again is left alone: its producer, whose reply was
 * lost, has added it once more. The mark of an earlier release names no destination. ARGV: payload prefix, job prefix, number
 * of jobs, jobs, marks.
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
    local execution, job = string.match(ARGV[i], '^([^%z]*)%z.-([^%z]*)$')
    if gone(job) and redis.call('ZREM', KEYS[2], ARGV[i]) == 0 then
      redis.call('ZREM', KEYS[2], execution .. '\\0' .. job)
    end
  end
  return jobs`);

/**
 * A sequence for one operation that does not pass through the queue: a delete, an oversize checkpoint.
 * @throws SequenceOutOfRangeError where the last sequence in Redis is damaged
 */
export async function nextSequence(client: Redis | Cluster, keys: QueueKeys, above = 0): Promise<number> {
  return Number(await typed(NEXT.run(client, [keys.sequence], [above])));
}

/**
 * Makes all later sequences higher than this one, which came from another clock.
 * @throws SequenceOutOfRangeError, and nothing is raised, where it is more than a day ahead of Redis' clock
 */
export async function raiseSequence(client: Redis | Cluster, keys: QueueKeys, above: number): Promise<void> {
  await typed(RAISE.run(client, [keys.sequence], [String(above)]));
}

export interface Reservation {
  readonly records: number;
  readonly payload: Buffer;
  readonly executions: readonly string[];
  /** What the records are for; the marks name it. */
  readonly destination?: Destination;
  /** A sequence from another clock, above which the first one has to be. Default 0. */
  readonly above?: number;
  /** Jobs that are not done, at most, before new chunks are refused; 0: no limit. */
  readonly maxQueueDepth: number;
  /**
   * For a caller who repeats a call whose reply was lost: for so many milliseconds, the same token gets the same sequence, even if
   * the chunk was committed and cleaned up meanwhile. Default: every call reserves anew.
   */
  readonly retry?: { readonly token: string; readonly forMs: number };
  /**
   * Redis' time after which nobody waits for a new number any more, in microseconds. A chunk that is numbered later, because the network
   * held it up, would be newer than what was saved since. Default 0: no limit.
   */
  readonly notAfterUs?: number;
}

/**
 * - `taken`: another job has a payload under the job's id.
 * - `late`: it was after `notAfterUs`.
 */
export type Reserved =
  | { kind: 'reserved'; firstSequence: number }
  | { kind: 'full'; depth: number }
  | { kind: 'late'; redisTimeUs: number }
  | { kind: 'taken' };

/** A payload that was sent ahead and never taken, because its producer died in between, goes by itself. */
const ARRIVED_TTL_SECONDS = 600;

/**
 * The payload goes ahead as a plain SET on the same connection, whose value Redis takes over as it was received; through the
 * script it would be copied twice more (28 instead of 36 µs of Redis' CPU for a state of 8 KB).
 * @throws SequenceOutOfRangeError where the last sequence in Redis, or that of the job, is damaged
 */
export async function reserve(
  client: Redis | Cluster,
  keys: QueueKeys,
  { records, payload, executions, destination, above = 0, maxQueueDepth, retry, notAfterUs = 0 }: Reservation,
  job?: { readonly jobId: string; readonly firstSequence: number },
): Promise<Reserved> {
  const { key: arrived, sent } = sendAhead(client, keys, payload);
  const [, reply] = await Promise.all([
    sent,
    typed(
      RESERVE.run(
        client,
        [keys.sequence, keys.chunks, keys.marks, keys.reservedPrefix + (retry?.token ?? ''), ...keys.undone],
        [
          records,
          maxQueueDepth,
          job?.jobId ?? '',
          job?.firstSequence ?? '',
          arrived,
          keys.payloadPrefix,
          above,
          destinationPrefix(destination),
          retry?.forMs ?? 0,
          Math.floor(notAfterUs),
          ...executions,
        ],
      ),
    ),
  ]);
  if (reply === 'taken') return { kind: 'taken' };
  const [, late] = /^late (\d+)$/.exec(String(reply)) ?? [];
  if (late !== undefined) return { kind: 'late', redisTimeUs: Number(late) };
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

async function typed(reply: Promise<unknown>): Promise<unknown> {
  try {
    return await reply;
  } catch (error) {
    const { message } = error as Error;
    if (!message.startsWith(OUT_OF_RANGE)) throw error;
    throw new SequenceOutOfRangeError(message.slice(OUT_OF_RANGE.length + 1));
  }
}
