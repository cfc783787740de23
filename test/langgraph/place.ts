import type { BaseCheckpointSaver } from '@langchain/langgraph-checkpoint';
import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { QueuedPostgresSaver, type QueuedPostgresSaverOptions } from '../../src/langgraph/index.js';
import type { Place } from '../store/place.js';

/** A saver of the place's schema and queue. Whoever opens it ends it. */
export function openSaver(
  { redis, postgres, schema, queue }: Place,
  options: Partial<QueuedPostgresSaverOptions> = {},
): QueuedPostgresSaver {
  return new QueuedPostgresSaver({ redis, postgres, schema, queue, ...options });
}

/** A saver that is ended with the test. */
export function testSaver(
  place: Place,
  options: Partial<QueuedPostgresSaverOptions> = {},
): QueuedPostgresSaver {
  const saver = openSaver(place, options);
  onTestFinished(() => saver.end());
  return saver;
}

/** LangGraph's own saver on the tables of the place, ended with the test. */
export function officialSaver({ postgres, schema }: Place): PostgresSaver {
  const saver = new PostgresSaver(new pg.Pool({ connectionString: postgres }), undefined, { schema });
  onTestFinished(() => saver.end());
  return saver;
}

/** Settings of a worker process that writes the graph tables of the place; its own checkpoint table stands beside them. */
export function graphWorkerEnv({ schema }: Place): NodeJS.ProcessEnv {
  return { CKPT_LANGGRAPH_SCHEMA: schema, CKPT_TABLE: 'agent_checkpoints' };
}

/** All that a saver lists of a thread. */
export async function tuplesOf(saver: BaseCheckpointSaver, threadId: string): Promise<unknown[]> {
  const tuples: unknown[] = [];
  for await (const tuple of saver.list({ configurable: { thread_id: threadId } })) tuples.push(tuple);
  return tuples;
}

/** How many rows a thread has in each of the three tables. */
export async function rowsOf({ pool, schema }: Place, threadId: string): Promise<Record<string, number>> {
  const tables = ['checkpoints', 'checkpoint_blobs', 'checkpoint_writes'];
  const counted = tables.map(async (table) => {
    const { rows } = await pool.query(
      `SELECT count(*)::int AS count FROM ${schema}.${table} WHERE thread_id = $1`,
      [threadId],
    );
    return [table, rows[0].count] as const;
  });
  return Object.fromEntries(await Promise.all(counted));
}
