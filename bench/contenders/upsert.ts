import pg from 'pg';
import type { Address } from '../place.js';
import { POOL_SIZE } from '../plan.js';
import type { Save } from '../saves.js';

export interface Upserts {
  upsert(save: Save): Promise<void>;
  close(): Promise<void>;
}

/** A statement, prepared once for each connection, and a pool: what a careful program does without a queue. */
export function openUpserts({ databaseUrl, schema }: Pick<Address, 'databaseUrl' | 'schema'>): Upserts {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: POOL_SIZE });
  const text = `
    INSERT INTO "${schema}".checkpoints (id, execution_id, node_name, state, metadata, timestamp, version)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (id) DO UPDATE SET execution_id = excluded.execution_id, node_name = excluded.node_name,
      state = excluded.state, metadata = excluded.metadata, timestamp = excluded.timestamp, version = excluded.version`;
  return {
    upsert: async ({ id, executionId, nodeName, state, step }) => {
      const metadata = JSON.stringify({ step });
      const values = [id, executionId, nodeName, JSON.stringify(state), metadata, new Date(), 1];
      await pool.query({ name: 'upsert', text, values });
    },
    close: () => pool.end(),
  };
}
