import { Queue } from 'bullmq';
import { redisTimeUs } from './clock.js';
import type { RedisConnection } from './connection.js';
import { type QueueCounters, readCounters } from './counters.js';
import { withDeadline } from './deadline.js';
import { deadLetterKeys, type QueueKeys } from './queue-keys.js';
import { askWithin } from './retry.js';
import { readWorkers, type WorkerReport } from './worker-registry.js';

/** The queue at one moment. */
export interface QueueStats {
  /** Jobs by state; each holds one chunk. Those with a priority, and those of a paused queue, wait too. */
  waiting: number;
  active: number;
  delayed: number;
  failed: number;
  /** Records that PostgreSQL refused, kept until they are replayed or purged. */
  deadLetters: number;
  /** Age of the oldest acknowledged save that is not committed, in milliseconds; undefined if there is none. */
  oldestAgeMs: number | undefined;
  counters: QueueCounters;
  /** The worker replicas that run. */
  workers: WorkerReport[];
}

const TIMEOUT_MS = 5000;

/** @throws QueueUnavailableError; RedisAccessError at once */
export async function readQueueStats(connection: RedisConnection, keys: QueueKeys): Promise<QueueStats> {
  const { client } = connection;
  // First, because BullMQ waits for a connection that Redis refuses until the deadline.
  await askWithin(TIMEOUT_MS, () => redisTimeUs(client, keys), 'reading the queue');
  const queue = new Queue(keys.queue, {
    prefix: keys.prefix,
    connection: client,
    skipMetasUpdate: true,
    skipVersionCheck: true,
  });
  queue.on('error', () => {}); // reported by the calls below
  const read = async (): Promise<QueueStats> => {
    const counts = await queue.getJobCounts('waiting', 'prioritized', 'active', 'delayed', 'failed');
    const [, oldest] = await client.zrange(keys.chunks, '0', '0', 'WITHSCORES');
    const nowMs = (await redisTimeUs(client, keys)) / 1000;
    return {
      waiting: (counts.waiting ?? 0) + (counts.prioritized ?? 0),
      active: counts.active ?? 0,
      delayed: counts.delayed ?? 0,
      failed: counts.failed ?? 0,
      deadLetters: await client.zcard(deadLetterKeys(keys).chunks),
      // A sequence is the time in µs at which Redis gave it out.
      oldestAgeMs: oldest === undefined ? undefined : Math.max(0, Math.round(nowMs - Number(oldest) / 1000)),
      counters: await readCounters(client, keys),
      workers: await readWorkers(client, keys, nowMs),
    };
  };
  try {
    return await withDeadline(performance.now() + TIMEOUT_MS, read(), 'reading the queue');
  } finally {
    await queue.close();
  }
}
