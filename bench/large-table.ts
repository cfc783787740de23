import pg from 'pg';
import { Database } from '../src/postgres/database.js';
import { type Period, tableNames } from '../src/postgres/identifiers.js';
import { makePartitions } from '../src/postgres/partitions.js';
import { migrate } from '../src/postgres/schema.js';

const MONTHS = 12;
const DAY_MS = 86_400_000;
const ROWS_OF_EXECUTION = 50;
/** Rows of one statement: some seconds, so that an interruption is soon noticed. */
const ROWS_A_STATEMENT = 250_000;

export interface LargeTableOptions {
  readonly databaseUrl: string;
  readonly schema: string;
  readonly partitionBy: Period | undefined;
  readonly rows: number;
  readonly signal: AbortSignal;
}

/**
 * Creates a checkpoint table with so many small rows of the last twelve months, and random ids: the indexes are made at the end, and
 * what is left is as after years of saving.
 */
export async function createLargeTable({
  databaseUrl,
  schema,
  partitionBy,
  rows,
  signal,
}: LargeTableOptions): Promise<void> {
  const names = tableNames({ schema, partitionBy });
  const { checkpoints, ids } = names;
  const from = new Date(Date.now() - MONTHS * 30 * DAY_MS);
  const database = new Database({ connectionString: databaseUrl, max: 1 });
  try {
    await migrate(database, names);
    await makePartitions(database, names, { from });
  } finally {
    await database.close();
  }
  if (rows === 0) return;
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on('error', () => {}); // its query rejects anyway
  await client.connect();
  try {
    await client.query(`SET synchronous_commit = off; SET maintenance_work_mem = '512MB'`);
    const keys = [[checkpoints, partitionBy ? 'id, timestamp' : 'id'], ...(partitionBy ? [[ids, 'id']] : [])];
    const indexes = await client.query<{ name: string; definition: string }>(
      `SELECT indexrelid::regclass AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
        WHERE indrelid = ANY ($1::regclass[]) AND NOT indisprimary`,
      [keys.map(([table]) => table)],
    );
    const constraints = await client.query<{ table: string; name: string }>(
      `SELECT conrelid::regclass AS table, conname AS name FROM pg_constraint WHERE conrelid = ANY ($1::regclass[]) AND contype = 'p'`,
      [keys.map(([table]) => table)],
    );
    for (const { name } of indexes.rows) await client.query(`DROP INDEX ${name}`);
    for (const { table, name } of constraints.rows) {
      await client.query(`ALTER TABLE ${table} DROP CONSTRAINT "${name}"`);
    }
    for (let first = 0; first < rows; first += ROWS_A_STATEMENT) {
      signal.throwIfAborted();
      await client.query(
        `INSERT INTO ${checkpoints} (id, execution_id, node_name, state, metadata, timestamp, version, write_seq)
         SELECT md5(n::text)::uuid::text, 'run-' || n / ${ROWS_OF_EXECUTION}, 'node',
             jsonb_build_object('step', n, 'text', md5((-n)::text)), '{"large": true}',
             $3::timestamptz + (now() - $3) * (n / $4::float8), 1, 1
           FROM generate_series($1::bigint, $2::bigint) n`,
        [first, Math.min(first + ROWS_A_STATEMENT, rows) - 1, from, rows],
      );
    }
    if (partitionBy) {
      await client.query(
        `INSERT INTO ${ids} SELECT id, execution_id, timestamp, version, write_seq FROM ${checkpoints}`,
      );
    }
    for (const [table, key] of keys) {
      signal.throwIfAborted();
      await client.query(`ALTER TABLE ${table} ADD PRIMARY KEY (${key})`);
    }
    for (const { definition } of indexes.rows) {
      signal.throwIfAborted();
      await client.query(definition.replace(' ON ONLY ', ' ON '));
    }
    for (const [table] of keys) await client.query(`VACUUM (ANALYZE) ${table}`);
    await client.query('CHECKPOINT');
  } finally {
    await client.end();
  }
}
