import type pg from 'pg';
import { digestOf } from '../../src/cli/demo/oracle.js';
import type { CheckpointStore, JsonObject } from '../../src/index.js';
import { tableNames } from '../../src/postgres/identifiers.js';

/** A row as PostgreSQL holds it. `sequence` is known only where it was read from the table itself. */
export interface StoredRow {
  readonly id: string;
  readonly digest: string;
  readonly sequence?: number;
}

/** A table, read past the product, or a store and the executions to read through it. */
export type StoredPlace =
  | { pool: Pick<pg.Pool, 'query'>; schema: string; table?: string }
  | { store: Pick<CheckpointStore, 'list'>; executionIds: readonly string[] };

/** All rows by their id. */
export async function readRows(place: StoredPlace): Promise<Map<string, StoredRow>> {
  const rows = 'pool' in place ? await readTable(place) : await readThrough(place);
  return new Map(rows.map((row) => [row.id, row]));
}

async function readTable(place: Extract<StoredPlace, { pool: unknown }>): Promise<StoredRow[]> {
  const { checkpoints } = tableNames(place);
  const { rows } = await place.pool.query(
    `SELECT id, execution_id, node_name, state, metadata, timestamp, version, write_seq FROM ${checkpoints}`,
  );
  return rows.map(({ id, execution_id, node_name, state, metadata, timestamp, version, write_seq }) => ({
    id,
    digest: digestOf({
      ...{ id, executionId: execution_id, nodeName: node_name, version, timestamp },
      ...{ state, metadata: metadata as JsonObject | null },
    }),
    sequence: Number(write_seq),
  }));
}

async function readThrough(place: Extract<StoredPlace, { store: unknown }>): Promise<StoredRow[]> {
  const rows: StoredRow[] = [];
  for (const executionId of place.executionIds) {
    const checkpoints = await place.store.list(executionId);
    rows.push(...checkpoints.map((checkpoint) => ({ id: checkpoint.id, digest: digestOf(checkpoint) })));
  }
  return rows;
}
