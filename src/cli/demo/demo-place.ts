import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { ConnectedConfig } from '../../config.js';
import { Database } from '../../postgres/database.js';
import { tableNames } from '../../postgres/identifiers.js';
import { RedisConnection } from '../../redis/connection.js';
import { before } from '../../redis/deadline.js';
import { queueKeys } from '../../redis/queue-keys.js';

const REDIS_TIMEOUT_MS = 60_000;
const SCAN_COUNT = 1000;

/** The configuration with a schema and a queue that nobody else uses. */
export function inPlaceOfItsOwn(config: ConnectedConfig): ConnectedConfig {
  const suffix = randomBytes(6).toString('hex');
  return { ...config, schema: `ckpt_demo_${suffix}`, queue: `demo-${suffix}` };
}

/** Removes the schema with all its tables, and every key of the queue. No worker may run any more. */
export async function removePlace(config: ConnectedConfig): Promise<void> {
  const failures = (await Promise.allSettled([dropSchema(config), deleteQueue(config)])).flatMap((removal) =>
    removal.status === 'rejected' ? [removal.reason] : [],
  );
  if (failures.length > 0) throw failures[0];
}

async function dropSchema(config: ConnectedConfig): Promise<void> {
  const database = new Database(config.postgres, { max: 1 });
  try {
    // A worker that was killed may hold locks until PostgreSQL has noticed.
    await database.withTransaction(
      (client) => client.query(`DROP SCHEMA IF EXISTS ${tableNames(config).quotedSchema} CASCADE`),
      "SET LOCAL lock_timeout = '30s'; SET LOCAL client_min_messages = warning;",
    );
  } finally {
    await database.close();
  }
}

async function deleteQueue(config: ConnectedConfig): Promise<void> {
  const connection = new RedisConnection(config.redis, 'worker');
  try {
    await before(
      Date.now() + REDIS_TIMEOUT_MS,
      deleteKeys(connection.client as Redis, `${literal(queueKeys(config).jobPrefix)}*`),
      'deleting the queue of the demo',
    );
  } finally {
    connection.close();
  }
}

async function deleteKeys(client: Redis, pattern: string): Promise<void> {
  for (let cursor = '0'; ; ) {
    const [next, keys] = await client.scan(cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT);
    if (keys.length > 0) await client.unlink(...keys);
    if (next === '0') return;
    cursor = next;
  }
}

/** The text as a pattern of Redis that matches nothing else. */
function literal(text: string): string {
  return text.replace(/[*?[\]\\^]/g, '\\$&');
}
