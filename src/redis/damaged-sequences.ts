import type { Cluster, Redis } from 'ioredis';
import { redisTimeUs } from './clock.js';
import { deadLetterKeys, type QueueKeys } from './queue-keys.js';
import { Script } from './script.js';
import { highestSequence, SEQUENCE_FUNCTIONS } from './sequence.js';

/** What of a queue has a sequence that is no whole number, or more than a day ahead of Redis' clock. */
export interface DamagedQueue {
  /** The last sequence: nothing can be numbered. */
  readonly lastSequence: boolean;
  readonly jobIds: readonly string[];
  readonly deadLetterIds: readonly string[];
  /** The highest sequence that is right, by Redis' clock now. */
  readonly highest: number;
}

/** KEYS: sequence. ARGV: whether to mend it. Returns whether it is damaged. */
const LAST_SEQUENCE = new Script(`${SEQUENCE_FUNCTIONS}
  local now = clock()
  local last = redis.pcall('GET', KEYS[1])
  if type(last) == 'table' and not string.find(last.err, 'WRONGTYPE') then return last end
  local known = type(last) ~= 'table' and tonumber(last or '0') or nil
  if in_range(known, now) then return 0 end
  if ARGV[1] == 'mend' then
    redis.call('DEL', KEYS[1])
    redis.call('SET', KEYS[1], string.format('%.0f', now))
  end
  return 1`);

export async function damagedQueue(client: Redis | Cluster, keys: QueueKeys): Promise<DamagedQueue> {
  const highest = highestSequence(await redisTimeUs(client, keys));
  const above = (chunks: string) => client.zrangebyscore(chunks, `(${highest}`, '+inf');
  const [damaged, jobIds, deadLetterIds] = await Promise.all([
    LAST_SEQUENCE.run(client, [keys.sequence], ['look']),
    above(keys.chunks),
    above(deadLetterKeys(keys).chunks),
  ]);
  return { lastSequence: damaged === 1, jobIds, deadLetterIds, highest };
}

/** Sets the last sequence to Redis' clock, if it is damaged. @returns whether it was */
export async function mendLastSequence(client: Redis | Cluster, keys: QueueKeys): Promise<boolean> {
  return (await LAST_SEQUENCE.run(client, [keys.sequence], ['mend'])) === 1;
}
