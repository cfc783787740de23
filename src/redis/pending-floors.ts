import type { Cluster, Redis } from 'ioredis';
import { type Destination, deadLetterKeys, destinationPrefix, type QueueKeys } from './queue-keys.js';
import { askWithin } from './retry.js';
import { Script } from './script.js';

/**
 * KEYS: chunks and marks of the queue, chunks and marks of its dead letters, looked at in one moment, for records pass from one to
 * the other; sequence. ARGV: a sequence, what stands before the job id in the marks of the destination, executions. Marks are in the
 * order of their text, so the first one of a kind has the lowest sequence; the marks of an earlier release name no destination. Returns what the next sequence is above, and where something is as old as the given sequence, a floor for each execution, '' for none.
 */
const FLOORS = new Script(`
  local time = redis.call('TIME')
  local clock = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local reply = { string.format('%.0f', math.max(clock, tonumber(redis.call('GET', KEYS[5]) or '0'))) }
  local function oldest(chunks) return tonumber(redis.call('ZRANGE', chunks, 0, 0, 'WITHSCORES')[2] or 'inf') end
  if math.min(oldest(KEYS[1]), oldest(KEYS[3])) > tonumber(ARGV[1]) then return reply end
  for i = 3, #ARGV do
    local floor = ''
    local function look(marks, kind)
      local from = ARGV[i] .. '\\0' .. kind
      local mark = redis.call('ZRANGEBYLEX', marks, '[' .. from .. '-', '(' .. from .. '.', 'LIMIT', 0, 1)[1]
      local sequence = mark and string.match(string.sub(mark, #from + 2), '^%d+')
      if sequence and (floor == '' or tonumber(sequence) < tonumber(floor)) then floor = sequence end
    end
    for _, prefix in ipairs({ ARGV[2], '' }) do
      look(KEYS[2], prefix .. 'w')
      look(KEYS[2], prefix .. 'r')
      look(KEYS[4], prefix .. 'd')
    end
    reply[i - 1] = floor
  end
  return reply`);

const TIMEOUT_MS = 10_000;

/** What may still arrive of executions, at one moment. */
export interface PendingFloors {
  /** Of each execution, in the order given: the lowest sequence that may still arrive; undefined if none that is as old as was asked for. */
  readonly floors: readonly (number | undefined)[];
  /** What is saved from now on gets a higher sequence. */
  readonly now: number;
}

/**
 * From which sequence on records of these executions, for one destination, wait in the queue, or may come back from the dead letters
 * by a replay.
 * @param newest nothing above it matters to the caller: where nothing at all is that old, no execution is looked at
 * @throws QueueUnavailableError
 */
export type LookAtPending = (executionIds: readonly string[], newest: number) => Promise<PendingFloors>;

export function pendingFloors(
  client: Redis | Cluster,
  keys: QueueKeys,
  destination: Destination,
): LookAtPending {
  const dead = deadLetterKeys(keys);
  const looked = [keys.chunks, keys.marks, dead.chunks, dead.marks, keys.sequence];
  const prefix = destinationPrefix(destination);
  return async (executionIds, newest) => {
    const values = [String(newest), prefix, ...executionIds];
    const look = () => FLOORS.run(client, looked, values) as Promise<string[]>;
    const [now, ...floors] = await askWithin(TIMEOUT_MS, look, 'looking for what may still arrive');
    return {
      now: Number(now),
      floors: executionIds.map((_, index) => (floors[index] ? Number(floors[index]) : undefined)),
    };
  };
}
