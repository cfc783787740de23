import { SchemaMismatchError } from '../errors.js';
import type { Database, PgClient } from './database.js';
import { queryRows } from './database.js';
import type { TableNames } from './identifiers.js';
import { columnsOf, familyVersion, migrateFamily, type TableFamily } from './migrations.js';
import { partitionedTables } from './partitioned-schema.js';
import { makePartitions, partitionedBy } from './partitions.js';
import { type TableKind, tableKind } from './table-statements.js';
import { tombstoneClock, tombstoneSettling, tombstoneTable } from './tombstones.js';

/**
 * The changes of the checkpoint table. The first one also takes over a table that LangGraphGo's PostgreSQL store made; its
 * programs go on working beside us, for the added column has a default.
 */
const CHANGES: ReadonlyArray<(names: TableNames, kind: TableKind) => string> = [
  (names, kind) => `
    ${kind === 'partitioned' ? partitionedTables(names) : plainTable(names)}
    ${tombstoneTable(names.tombstones, ['checkpoint', 'execution'])}`,
  (names) => tombstoneSettling(names.tombstones, `idx_${names.table}`),
  (names) => tombstoneClock(names.tombstones, `idx_${names.table}`),
];

function plainTable(names: TableNames): string {
  return `
    CREATE TABLE IF NOT EXISTS ${names.checkpoints} (
      id TEXT PRIMARY KEY,
      execution_id TEXT NOT NULL,
      node_name TEXT NOT NULL,
      state JSONB NOT NULL,
      metadata JSONB,
      timestamp TIMESTAMPTZ NOT NULL,
      version INTEGER NOT NULL
    );
    ALTER TABLE ${names.checkpoints} ADD COLUMN IF NOT EXISTS write_seq BIGINT NOT NULL DEFAULT 0;
    -- LangGraphGo's index of this name covers execution_id alone.
    DROP INDEX IF EXISTS ${names.quotedSchema}."idx_${names.table}_execution_id";
    CREATE INDEX "idx_${names.table}_execution_id" ON ${names.checkpoints} (execution_id, timestamp, version);
    CREATE INDEX IF NOT EXISTS "idx_${names.table}_timestamp" ON ${names.checkpoints} (timestamp);`;
}

/** The schema version that this release writes. */
export const SCHEMA_VERSION = CHANGES.length;

/** Columns of the checkpoint table that LangGraphGo's store has as well. */
const EXPECTED_COLUMNS: Record<string, string> = {
  id: 'text',
  execution_id: 'text',
  node_name: 'text',
  state: 'jsonb',
  metadata: 'jsonb',
  timestamp: 'timestamp with time zone',
  version: 'integer',
  write_seq: 'bigint',
};

/**
 * Brings the tables to this release's version, and makes the partitions that are due; does nothing if all is there already.
 * @throws SchemaMismatchError if a table of that name has other columns, is partitioned in another way than is asked for, or was made
 *   by a newer release.
 */
export async function migrate(database: Database, names: TableNames): Promise<void> {
  const kind = await kindOf(database, names);
  await migrateFamily(database, familyOf(names, kind));
  if (kind === 'partitioned') await makePartitions(database, names);
}

/** The version of the tables as they are; 0 if one of them is missing. @throws SchemaMismatchError if a newer release made them. */
export async function schemaVersion(database: Database, names: TableNames): Promise<number> {
  return familyVersion(database, familyOf(names, await kindOf(database, names)));
}

/** Of a table that is not there, what is to be made. */
async function kindOf(database: Database, names: TableNames): Promise<TableKind> {
  const found = await database.withClient((client) => tableKind(client, names));
  return found ?? (names.partitionBy ? 'partitioned' : 'plain');
}

function familyOf(names: TableNames, kind: TableKind): TableFamily {
  return {
    label: names.label,
    quotedSchema: names.quotedSchema,
    ledger: names.migrations,
    tables: [names.checkpoints, names.tombstones, ...(kind === 'partitioned' ? [names.ids] : [])],
    changes: CHANGES.map((change) => change(names, kind)),
    check: (client) => checkTable(client, names),
  };
}

/** Refuses a table that cannot be ours: `checkpoints` is also the name that LangGraph's PostgresSaver uses. */
async function checkTable(client: PgClient, names: TableNames): Promise<void> {
  const columns = await columnsOf(client, names.checkpoints);
  if (columns.length === 0) return;
  const found = new Map(columns.map(({ name, type }) => [name, type]));
  for (const [name, type] of Object.entries(EXPECTED_COLUMNS)) {
    if (name === 'write_seq' && !found.has(name)) continue; // LangGraphGo's table, which gets it
    if (found.get(name) === type) continue;
    const owner = found.has('thread_id') ? " (it looks like LangGraph's PostgresSaver's)" : '';
    const is = found.has(name) ? `is ${found.get(name)}` : 'is missing';
    throw new SchemaMismatchError(
      names.label,
      `is not a checkpoint table${owner}: column ${name} ${is}, not ${type}`,
    );
  }
  const foreign = columns.find(({ name, required }) => !(name in EXPECTED_COLUMNS) && required);
  if (foreign) {
    throw new SchemaMismatchError(
      names.label,
      `has a column ${foreign.name} that must be filled and is not ours`,
    );
  }
  const partitioned = (await tableKind(client, names)) === 'partitioned';
  const key = partitioned ? ['id', 'timestamp'] : ['id'];
  const [unique] = await queryRows(
    client,
    `SELECT 1 FROM pg_index i
      WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indpred IS NULL
        AND $2::text[] = ARRAY(SELECT a.attname::text FROM pg_attribute a
          WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]) ORDER BY 1)`,
    [names.checkpoints, key],
  );
  if (!unique) throw new SchemaMismatchError(names.label, `has no primary key on ${key.join(', ')}`);
  await checkPartitioning(client, names, partitioned);
}

async function checkPartitioning(client: PgClient, names: TableNames, partitioned: boolean): Promise<void> {
  const { partitionBy, label } = names;
  if (!partitioned) {
    if (!partitionBy) return;
    throw new SchemaMismatchError(
      label,
      'is not partitioned, and no table becomes so: create another one and copy the checkpoints (see the README)',
    );
  }
  const { key, period } = await partitionedBy(client, names);
  if (key !== 'RANGE ("timestamp")') {
    throw new SchemaMismatchError(label, `is partitioned by ${key}, not by RANGE (timestamp)`);
  }
  if (partitionBy && period && period !== partitionBy) {
    throw new SchemaMismatchError(label, `is partitioned by ${period}, not by ${partitionBy}`);
  }
}
