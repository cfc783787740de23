import { randomBytes } from 'node:crypto';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { CheckpointQueueError } from '../../errors.js';
import { Database } from '../../postgres/database.js';
import { tableNames } from '../../postgres/identifiers.js';
import { asQueueUnavailable, RedisConnection } from '../../redis/connection.js';
import { withDeadline } from '../../redis/deadline.js';
import { queueKeys } from '../../redis/queue-keys.js';
import { retryUntil } from '../../redis/retry.js';
import { mastersOf } from '../../redis/server-info.js';
import type { LocalServices } from '../../services/local-services.js';
import { note } from '../command.js';

export type DemoServices = Pick<LocalServices, 'databaseUrl' | 'redisUrl'>;

/** The schema and the queue of one demonstration; nothing else on the services is touched. */
export interface DemoPlace {
  readonly schema: string;
  readonly queue: string;
}

/** For finding out whether Redis is there, and for cleaning it up. */
const REDIS_TIMEOUT_MS = 5000;
const KEYS_A_SCAN = 1000;

export function newPlace(): DemoPlace {
  const suffix = randomBytes(4).toString('hex');
  // With a hash tag, so that it may be in a Redis Cluster.
  return { queue: `{demo-${suffix}}`, schema: `ckpt_demo_${suffix}` };
}

/** @throws QueueUnavailableError now, rather than an agent's after its first save. */
export async function assertRedisAnswers({ redisUrl }: DemoServices, place: DemoPlace): Promise<void> {
  const connection = new RedisConnection(redisUrl, queueKeys(place), 'commands');
  const deadline = performance.now() + REDIS_TIMEOUT_MS;
  const ping = () => withDeadline(deadline, connection.client.ping(), 'connecting');
  try {
    await retryUntil(() => deadline, ping, 'connecting');
  } finally {
    connection.close();
  }
}

/** Removes schema and queue. What cannot be removed is said and does not hide how the demonstration ended. */
export async function removePlace(services: DemoServices, place: DemoPlace): Promise<void> {
  const removals = await Promise.allSettled([removeSchema(services, place), removeQueue(services, place)]);
  for (const removal of removals) {
    if (removal.status === 'fulfilled') continue;
    const { reason } = removal;
    const why = reason instanceof CheckpointQueueError ? reason.message : 'unknown error';
    note(`could not remove schema ${place.schema} or queue ${place.queue}: ${why}`);
  }
}

async function removeSchema({ databaseUrl }: DemoServices, { schema }: DemoPlace): Promise<void> {
  const database = new Database(databaseUrl);
  try {
    await database.query(`DROP SCHEMA IF EXISTS ${tableNames({ schema }).quotedSchema} CASCADE`);
  } finally {
    await database.close();
  }
}

async function removeQueue({ redisUrl }: DemoServices, { queue }: DemoPlace): Promise<void> {
  const connection = new RedisConnection(redisUrl, queueKeys({ queue }), 'worker');
  const bull = new Queue(queue, { connection: connection.client });
  bull.on('error', () => {}); // reported by the calls below
  try {
    await withDeadline(
      performance.now() + REDIS_TIMEOUT_MS,
      emptyQueue(connection, bull),
      'removing the queue',
    );
  } catch (error) {
    throw asQueueUnavailable(error, 'removing the queue');
  } finally {
    connection.close();
  }
}

async function emptyQueue({ client }: RedisConnection, bull: Queue): Promise<void> {
  await bull.obliterate({ force: true });
  const { jobPrefix } = queueKeys({ queue: bull.name });
  for (const server of mastersOf(client)) await removeKeys(server, `${jobPrefix}*`);
  await bull.close();
}

async function removeKeys(server: Redis, pattern: string): Promise<void> {
  for (let cursor = '0'; ; ) {
    const [next, keys] = await server.scan(cursor, 'MATCH', pattern, 'COUNT', KEYS_A_SCAN);
    if (keys.length > 0) await server.unlink(keys);
    if (next === '0') return;
    cursor = next;
  }
}
