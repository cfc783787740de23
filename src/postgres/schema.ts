import { SchemaMismatchError } from '../errors.js';
import type { Database, PgClient } from './database.js';
import { queryRows } from './database.js';
import { labelOfQuoted, quoted, type TableNames } from './identifiers.js';
import {
  columnsOf,
  exists,
  type FoundColumn,
  familyVersion,
  migrateFamily,
  type TableFamily,
} from './migrations.js';
import { idsWithoutRow, partitionedTables, partitionFunctions } from './partitioned-schema.js';
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
  (names, kind) => (kind === 'partitioned' ? idsWithoutRow(names) : ''),
];

function plainTable(names: TableNames): string {
  const [byExecution, byTime] = ['execution_id', 'timestamp'].map((end) =>
    quoted(`idx_${names.table}_${end}`),
  );
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
    DROP INDEX IF EXISTS ${names.quotedSchema}.${byExecution};
    CREATE INDEX ${byExecution} ON ${names.checkpoints} (execution_id, timestamp, version);
    CREATE INDEX IF NOT EXISTS ${byTime} ON ${names.checkpoints} (timestamp);`;
}

/** The schema version that this release writes. */
export const SCHEMA_VERSION = CHANGES.length;

/** Columns by name, with their types. */
type Columns = Readonly<Record<string, string>>;

/** Columns of the checkpoint table; all but the last one are also those of LangGraphGo's store. */
const EXPECTED_COLUMNS: Columns = {
  id: 'text',
  execution_id: 'text',
  node_name: 'text',
  state: 'jsonb',
  metadata: 'jsonb',
  timestamp: 'timestamp with time zone',
  version: 'integer',
  write_seq: 'bigint',
};
/** Columns that the tables beside it have had since the first version. */
const TOMBSTONE_COLUMNS: Columns = {
  scope: 'text',
  key: 'text',
  fence: 'bigint',
  created_at: 'timestamp with time zone',
};
const ID_COLUMNS: Columns = {
  id: 'text',
  execution_id: 'text',
  timestamp: 'timestamp with time zone',
  version: 'integer',
  write_seq: 'bigint',
};
const LEDGER_COLUMNS: Columns = { version: 'integer' };

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

/** @throws SchemaMismatchError if a table of these names is another program's. One that was made here and has lost its key is not. */
export function checkTables(database: Database, names: TableNames): Promise<void> {
  return database.withClient((client) =>
    checkFamily(client, names, () => exists(client, 'to_regclass', names.migrations)),
  );
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
    ...(kind === 'partitioned' && { functions: partitionFunctions(names) }),
    changes: CHANGES.map((change) => change(names, kind)),
    check: (client) => checkFamily(client, names),
  };
}

/** @param mayLackKey whether the checkpoint table may have lost its primary key. Default: it may not */
async function checkFamily(
  client: PgClient,
  names: TableNames,
  mayLackKey: () => Promise<boolean> = async () => false,
): Promise<void> {
  await checkTable(client, names, mayLackKey);
  for (const [table, expected] of [
    [names.tombstones, TOMBSTONE_COLUMNS],
    [names.migrations, LEDGER_COLUMNS],
    ...((await tableKind(client, names)) === 'partitioned' ? [[names.ids, ID_COLUMNS] as const] : []),
  ] as const) {
    await checkCompanion(client, names, table, expected);
  }
}

/** Refuses a table that has the name of one that stands beside the checkpoint table, and is another program's. */
async function checkCompanion(
  client: PgClient,
  { label }: TableNames,
  table: string,
  expected: Columns,
): Promise<void> {
  const columns = await columnsOf(client, table);
  const problem = columns.length > 0 && mismatch(columns, expected);
  if (problem) {
    throw new SchemaMismatchError(
      labelOfQuoted(table),
      `is not what belongs to the checkpoint table ${label}: ${problem}`,
    );
  }
}

function mismatch(columns: readonly FoundColumn[], expected: Columns): string | undefined {
  const found = new Map(columns.map(({ name, type }) => [name, type]));
  const [wrong] = Object.entries(expected).filter(([name, type]) => found.get(name) !== type);
  if (!wrong) return undefined;
  const [name, type] = wrong;
  return `column ${name} ${found.has(name) ? `is ${found.get(name)}` : 'is missing'}, not ${type}`;
}

/** Refuses a table that cannot be ours: `checkpoints` is also the name that LangGraph's PostgresSaver uses. */
async function checkTable(
  client: PgClient,
  names: TableNames,
  mayLackKey: () => Promise<boolean>,
): Promise<void> {
  const columns = await columnsOf(client, names.checkpoints);
  if (columns.length === 0) return;
  const found = new Set(columns.map(({ name }) => name));
  const { write_seq: sequence, ...ofLangGraphGo } = EXPECTED_COLUMNS; // whose table gets the sequence
  const problem = mismatch(columns, found.has('write_seq') ? EXPECTED_COLUMNS : ofLangGraphGo);
  if (problem) {
    const owner = found.has('thread_id') ? " (it looks like LangGraph's PostgresSaver's)" : '';
    throw new SchemaMismatchError(names.label, `is not a checkpoint table${owner}: ${problem}`);
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
  if (!unique && !(await mayLackKey())) {
    throw new SchemaMismatchError(names.label, `has no primary key on ${key.join(', ')}`);
  }
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
