import { Redis } from 'ioredis';
import pg from 'pg';
import { inject, onTestFinished } from 'vitest';
import {
  CheckpointWriter,
  type CheckpointWriterOptions,
  QueuedCheckpointStore,
  type QueuedCheckpointStoreOptions,
} from '../../src/index.js';
import type { CheckpointTableSql } from '../../src/postgres/checkpoint-table.js';
import { Database } from '../../src/postgres/database.js';
import { tableNames } from '../../src/postgres/identifiers.js';
import { migrate } from '../../src/postgres/schema.js';
import { TableStatements } from '../../src/postgres/table-statements.js';
import { DEFAULT_PREFIX, type QueueKeys, queueKeys } from '../../src/redis/queue-keys.js';
import { services, testQueue, testSchema } from '../services.js';

/** A schema and a queue that only one test uses, and the test's own look at both servers. */
export interface Place {
  readonly redis: string;
  readonly postgres: string;
  readonly schema: string;
  readonly queue: string;
  readonly keys: QueueKeys;
  readonly client: Redis;
  readonly pool: pg.Pool;
  remove(): Promise<void>;
}

/** @param servers those of the test run, unless a test has its own */
export async function openPlace(servers: Partial<Pick<Place, 'redis' | 'postgres'>> = {}): Promise<Place> {
  const { databaseUrl, redisUrl } = services();
  const { postgres = databaseUrl, redis = redisUrl } = servers;
  const { schema, drop } = await testSchema(postgres);
  if (inject('partitionBy')) await createPartitioned(postgres, schema);
  const keys = queueKeys({ queue: testQueue(), prefix: DEFAULT_PREFIX });
  const client = new Redis(redis);
  const pool = new pg.Pool({ connectionString: postgres });
  // A test may take its servers away; what is asked of them then fails or waits by itself.
  client.on('error', () => {});
  pool.on('error', () => {});
  const remove = async () => {
    const left = await client.keys(`${keys.jobPrefix}*`);
    if (left.length > 0) await client.unlink(left);
    client.disconnect();
    await pool.end();
    await drop();
  };
  return { redis, postgres, schema, queue: keys.queue, keys, client, pool, remove };
}

/** Whoever comes to the table later finds out by himself that it is partitioned. */
async function createPartitioned(postgres: string, schema: string): Promise<void> {
  const database = new Database(postgres);
  try {
    await migrate(database, tableNames({ schema, partitionBy: inject('partitionBy') }));
  } finally {
    await database.close();
  }
}

/** The statements for the table of a place, as it is. */
export async function statementsOf({ pool, schema }: Place): Promise<CheckpointTableSql> {
  const client = await pool.connect();
  try {
    return await new TableStatements(tableNames({ schema })).find(client);
  } finally {
    client.release();
  }
}

/** A place that goes with the test. */
export async function testPlace(servers?: Parameters<typeof openPlace>[0]): Promise<Place> {
  const place = await openPlace(servers);
  onTestFinished(place.remove);
  return place;
}

/** A queued store that is closed with the test. */
export function testStore(
  place: Place,
  options: Partial<QueuedCheckpointStoreOptions> = {},
): QueuedCheckpointStore {
  const { redis, postgres, schema, queue } = place;
  const store = new QueuedCheckpointStore({ redis, postgres, schema, queue, ...options });
  onTestFinished(() => store.close());
  return store;
}

/** A writer that is not started; it is closed with the test. */
export function testWriter(place: Place, options: Partial<CheckpointWriterOptions> = {}): CheckpointWriter {
  const { redis, postgres, schema, queue } = place;
  const writer = new CheckpointWriter({ redis, postgres, schema, queue, ...options });
  onTestFinished(() => writer.close());
  return writer;
}

/** A running writer that is closed with the test. */
export async function startWriter(
  place: Place,
  options: Partial<CheckpointWriterOptions> = {},
): Promise<CheckpointWriter> {
  const writer = testWriter(place, options);
  await writer.start();
  return writer;
}
