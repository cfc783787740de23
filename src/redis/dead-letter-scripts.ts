import { randomUUID } from 'node:crypto';
import type { Cluster, Redis } from 'ioredis';
import { deadLetterIdOf, replayJobIdOf } from '../chunk.js';
import type { DeadLetterJob } from './dead-letter-job.js';
import { QUEUE_DEPTH } from './queue-depth.js';
import { deadLetterKeys, markOf, markPrefix, type QueueKeys } from './queue-keys.js';
import { Script } from './script.js';
import { SEQUENCE_FUNCTIONS, sendAhead } from './sequence.js';

/**
 * Takes a dead letter away, with all that belongs to it, in one step: a removal by BullMQ and one of ours would be two, and
 * could not be bound to a condition. They are in BullMQ's `prioritized`, unless somebody has moved them.
 */
const REMOVE_LETTER = `
  local function remove_letter(prefix, payload_prefix, chunks, marks, letter, mark)
    local existed = redis.call('DEL', prefix .. letter)
    redis.call('DEL', prefix .. letter .. ':logs')
    if existed == 1 and redis.call('ZREM', prefix .. 'prioritized', letter) == 0 then
      for _, state in ipairs({'wait', 'paused'}) do redis.call('LREM', prefix .. state, 1, letter) end
      for _, state in ipairs({'delayed', 'completed', 'failed'}) do redis.call('ZREM', prefix .. state, letter) end
    end
    redis.call('UNLINK', payload_prefix .. letter)
    redis.call('ZREM', chunks, letter)
    -- The mark of an earlier release names no destination: from the execution straight to the id.
    redis.call('ZREM', marks, mark, (string.gsub(mark, '^([^%z]*%z).*%z', '%1')))
    return existed
  end`;

/** KEYS: chunks, marks. ARGV: job prefix, payload prefix, then letter and mark of each. Returns how many there were. */
const REMOVE = new Script(`${REMOVE_LETTER}
  local removed = 0
  for i = 3, #ARGV, 2 do
    removed = removed + remove_letter(ARGV[1], ARGV[2], KEYS[1], KEYS[2], ARGV[i], ARGV[i + 1])
  end
  return removed`);

/**
 * Of one record, only what was made last is kept: a job that runs again after its dead letter was replayed must not bring that
 * back, and a replay that broke off before its last step must not leave the old one beside the new. Newer than the dead
 * letter that was just added is a job that has the record, or the dead letter that this one became.
 */
const SETTLE = new Script(`${REMOVE_LETTER}
  local job_prefix, payload_prefix, dead_prefix, dead_payload_prefix = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
  local sequence, replays, mark_prefix = ARGV[5], tonumber(ARGV[6]), ARGV[7]
  local function replays_of(id) return tonumber(string.match(id, '^%a%-%d+%-(%d+)$') or 0) end
  local function whole(prefix, payloads, id) return redis.call('EXISTS', prefix .. id, payloads .. id) == 2 end
  local kept, newer = false, false
  for _, id in ipairs(redis.call('ZRANGE', KEYS[3], sequence, sequence, 'BYSCORE')) do
    -- A job that was put aside as failed is nobody's to do.
    local failed = redis.call('ZSCORE', KEYS[4], id)
    newer = newer or (replays_of(id) > replays and not failed and whole(job_prefix, payload_prefix, id))
  end
  local letters = redis.call('ZRANGE', KEYS[1], sequence, sequence, 'BYSCORE')
  for _, id in ipairs(letters) do
    local there = whole(dead_prefix, dead_payload_prefix, id)
    kept = kept or (replays_of(id) == replays and there)
    newer = newer or (replays_of(id) > replays and there)
  end
  if not kept and not newer then return 'incomplete' end
  for _, id in ipairs(letters) do
    if replays_of(id) < replays or (newer and replays_of(id) == replays) then
      remove_letter(dead_prefix, dead_payload_prefix, KEYS[1], KEYS[2], id, mark_prefix .. id)
    end
  end
  return newer and 'newer' or 'kept'`);

/** In the hash of a dead letter's job: whose replay of it was the last to begin. */
const REPLAY_FIELD = 'ckpt-replay';

/**
 * First step of a replay: what a chunk gets before its job, out of the dead letter that is still there, with its old
 * sequence. Later, it is the dead letter that keeps the tombstones which the record may need; so nothing is done without it.
 * With a payload that arrived, that one replaces the dead letter's, unless a job has it already as it was.
 */
const PREPARE = new Script(`${SEQUENCE_FUNCTIONS}${QUEUE_DEPTH}
  local job_prefix, payload_prefix, dead_prefix, dead_payload_prefix = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
  local job, letter, sequence, mark, token = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]
  local limit, arrived, data = tonumber(ARGV[10]), ARGV[11], ARGV[12]
  local function refused(why)
    if arrived ~= '' then redis.call('UNLINK', arrived) end
    return why
  end
  if redis.call('EXISTS', dead_prefix .. letter) == 0 then return refused('gone') end
  if not in_range(tonumber(sequence), clock()) then return refused('out of range') end
  local queued = redis.call('EXISTS', job_prefix .. job) == 1
  if arrived ~= '' then
    if queued and redis.call('HGET', dead_prefix .. letter, '${REPLAY_FIELD}') ~= token then return refused('busy') end
    redis.call('RENAME', arrived, dead_payload_prefix .. letter)
    redis.call('PERSIST', dead_payload_prefix .. letter)
    redis.call('HSET', dead_prefix .. letter, 'data', data)
  elseif redis.call('EXISTS', dead_payload_prefix .. letter) == 0 then
    return 'unreadable'
  elseif limit > 0 and not queued and queue_depth(3) >= limit then
    return 'full'
  end
  redis.call('ZADD', KEYS[1], sequence, job)
  redis.call('ZADD', KEYS[2], 0, mark)
  -- After the index entry: nobody looks for a payload that has none.
  redis.call('COPY', dead_payload_prefix .. letter, payload_prefix .. job, 'REPLACE')
  redis.call('HSET', dead_prefix .. letter, '${REPLAY_FIELD}', token)
  return 'prepared'`);

/**
 * Last step of a replay, after the job was added: the dead letter goes if Redis, as it is now, has seen both steps. A Redis
 * that has lost the end of its log lost the first step, and with it the token; or the job alone, and then its chunk has no job. A job
 * that has ended leaves the same for a moment, until its worker has cleaned up.
 */
const CONFIRM = new Script(`${REMOVE_LETTER}
  local job_prefix, payload_prefix, dead_prefix, dead_payload_prefix = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
  local job, letter, mark, token, next_letter = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]
  local queued = redis.call('EXISTS', job_prefix .. job) == 1
  local readable = redis.call('EXISTS', payload_prefix .. job) == 1
  if redis.call('EXISTS', dead_prefix .. letter) == 0 then
    if redis.call('EXISTS', dead_prefix .. next_letter) == 1 then return 'removed' end
    return queued and not readable and 'stray' or 'gone'
  end
  if redis.call('HGET', dead_prefix .. letter, '${REPLAY_FIELD}') ~= token then return 'unsettled' end
  if redis.call('ZREM', KEYS[3], job) == 1 then
    redis.call('DEL', job_prefix .. job, job_prefix .. job .. ':logs')
    return 'failed'
  end
  if queued and not readable then return 'unsettled' end
  if not queued and redis.call('ZSCORE', KEYS[4], job) then return 'unsettled' end
  remove_letter(dead_prefix, dead_payload_prefix, KEYS[1], KEYS[2], letter, mark)
  return 'removed'`);

/** So few that a removal does not hold up Redis. */
const REMOVALS_A_CALL = 100;

/** @param keys of the dead letters themselves. @returns how many were there */
export async function removeDeadLetters(
  client: Redis | Cluster,
  keys: QueueKeys,
  jobs: readonly DeadLetterJob[],
): Promise<number> {
  let removed = 0;
  for (let from = 0; from < jobs.length; from += REMOVALS_A_CALL) {
    const some = jobs.slice(from, from + REMOVALS_A_CALL).flatMap((job) => {
      const deadLetterId = deadLetterIdOf(job.sequence, job.replays);
      return [deadLetterId, markOf(job.executionId, deadLetterId, job)];
    });
    const reply = await REMOVE.run(
      client,
      [keys.chunks, keys.marks],
      [keys.jobPrefix, keys.payloadPrefix, ...some],
    );
    removed += Number(reply);
  }
  return removed;
}

/**
 * - `kept`: it is there, and no older one of the same record.
 * - `newer`: it is not, because the record has been replayed since.
 * - `incomplete`: its job or its payload is missing.
 */
export type Settled = 'kept' | 'newer' | 'incomplete';

/** After a dead letter was added. @param keys of the queue */
export async function settleDeadLetter(
  client: Redis | Cluster,
  keys: QueueKeys,
  job: DeadLetterJob,
): Promise<Settled> {
  const { sequence, replays, executionId } = job;
  const dead = deadLetterKeys(keys);
  const reply = await SETTLE.run(
    client,
    [dead.chunks, dead.marks, keys.chunks, keys.failed],
    [...prefixes(keys, dead), sequence, replays, markPrefix(executionId, job)],
  );
  return reply as Settled;
}

/** One replay of one dead letter, from its first step to its last. */
export interface Replay {
  /** What the dead letter says, or is to say from now on. */
  readonly job: DeadLetterJob;
  /** The job that brings the record to the workers. */
  readonly jobId: string;
  /** Tells it from every other replay of the same dead letter. */
  readonly token: string;
  /** Instead of what the dead letter has. */
  readonly payload?: Buffer | undefined;
}

export function newReplay(job: DeadLetterJob, payload?: Buffer): Replay {
  return { job, jobId: replayJobIdOf(job.sequence, job.replays + 1), token: randomUUID(), payload };
}

/**
 * - `gone`: there is no such dead letter any more.
 * - `unreadable`: it has lost its payload.
 * - `out of range`: its sequence is damaged, or more than a day ahead of Redis' clock.
 * - `full`: so many jobs wait already.
 * - `busy`: a job has the record already, as it was; only with a new payload.
 */
export type Prepared = 'prepared' | 'gone' | 'unreadable' | 'out of range' | 'full' | 'busy';

/** @param keys of the queue. @param maxQueueDepth 0: no limit */
export async function prepareReplay(
  client: Redis | Cluster,
  keys: QueueKeys,
  { job, jobId, token, payload }: Replay,
  maxQueueDepth: number,
): Promise<Prepared> {
  const dead = deadLetterKeys(keys);
  const letter = deadLetterIdOf(job.sequence, job.replays);
  const ahead = payload && sendAhead(client, dead, payload);
  const [reply] = await Promise.all([
    PREPARE.run(
      client,
      [keys.chunks, keys.marks, ...keys.undone],
      [
        ...prefixes(keys, dead),
        jobId,
        letter,
        job.sequence,
        markOf(job.executionId, jobId, job),
        token,
        maxQueueDepth,
        ahead?.key ?? '',
        payload ? JSON.stringify(job) : '',
      ],
    ),
    ahead?.sent,
  ]);
  return reply as Prepared;
}

/**
 * - `removed`: the job is there, or was and has ended, and the dead letter is gone, or has become the next one.
 * - `gone`: another replay, or a purge, has removed it.
 * - `stray`: as `gone`, and the job came after all was over and has no payload.
 * - `failed`: the job came between two replays, without a payload, and a worker had put it aside; it is removed.
 * - `unsettled`: ask again in a moment, then begin anew.
 */
export type Confirmed = 'removed' | 'gone' | 'stray' | 'failed' | 'unsettled';

/** @param keys of the queue */
export async function confirmReplay(
  client: Redis | Cluster,
  keys: QueueKeys,
  { job, jobId, token }: Replay,
): Promise<Confirmed> {
  const dead = deadLetterKeys(keys);
  const letter = deadLetterIdOf(job.sequence, job.replays);
  const reply = await CONFIRM.run(
    client,
    [dead.chunks, dead.marks, keys.failed, keys.chunks],
    [
      ...prefixes(keys, dead),
      jobId,
      letter,
      markOf(job.executionId, letter, job),
      token,
      deadLetterIdOf(job.sequence, job.replays + 1),
    ],
  );
  return reply as Confirmed;
}

function prefixes(keys: QueueKeys, dead: QueueKeys): string[] {
  return [keys.jobPrefix, keys.payloadPrefix, dead.jobPrefix, dead.payloadPrefix];
}
