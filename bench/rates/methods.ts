import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';
import pg from 'pg';
import { PostgresCheckpointStore, QueuedCheckpointStore } from '../../src/index.js';
import { putSave } from '../contenders/postgres-saver.js';
import { openUpserts } from '../contenders/upsert.js';
import type { Address } from '../place.js';
import { POOL_SIZE } from '../plan.js';
import { checkpointOf, type Save } from '../saves.js';

/** Ways to save, in the order of the table. Each producer process opens its own. */
export const METHOD_NAMES = ['queued', 'upsert', 'postgres-saver'] as const;
export type MethodName = (typeof METHOD_NAMES)[number];

export const ABOUT_METHODS: Record<MethodName, string> = {
  queued: 'QueuedCheckpointStore.save, and one worker with its defaults',
  upsert: `one upsert per save, prepared, pool of ${POOL_SIZE} per producer`,
  'postgres-saver': `LangGraph's PostgresSaver.put, pool of ${POOL_SIZE} per producer`,
};

/** Where a producer process saves to. */
export interface RatesAddress extends Address {
  readonly saverSchema: string;
}

export interface OpenMethod {
  save(save: Save): Promise<unknown>;
  close(): Promise<void>;
}

export function openMethod(name: MethodName, address: RatesAddress): OpenMethod {
  const { redisUrl, databaseUrl, schema, queue, saverSchema } = address;
  if (name === 'queued') {
    const store = new QueuedCheckpointStore({ redis: redisUrl, postgres: databaseUrl, schema, queue });
    return { save: (save) => store.save(checkpointOf(save)), close: () => store.close() };
  }
  if (name === 'upsert') {
    const { upsert, close } = openUpserts(address);
    return { save: upsert, close };
  }
  const pool = new pg.Pool({ connectionString: databaseUrl, max: POOL_SIZE });
  const saver = new PostgresSaver(pool, undefined, { schema: saverSchema });
  return { save: (save) => putSave(saver, save), close: () => pool.end() };
}

/** Creates the tables that all methods write to. */
export async function createTables({ databaseUrl, schema, saverSchema }: RatesAddress): Promise<void> {
  const store = new PostgresCheckpointStore({ postgres: databaseUrl, schema });
  await store.initSchema().finally(() => store.close());
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 });
  await new PostgresSaver(pool, undefined, { schema: saverSchema }).setup().finally(() => pool.end());
}
