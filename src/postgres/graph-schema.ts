import { SchemaMismatchError } from '../errors.js';
import type { Database, PgClient } from './database.js';
import type { GraphTableNames } from './graph-tables.js';
import { labelOfQuoted } from './identifiers.js';
import { columnsOf, familyVersion, migrateFamily, type TableFamily } from './migrations.js';
import { tombstoneSettling, tombstoneTable } from './tombstones.js';

/**
 * The three tables of `PostgresSaver` (@langchain/langgraph-checkpoint-postgres 1.0) as its own five changes make them, noted in
 * its own ledger, so that its `setup` finds nothing left to do. A later release of it goes on from there.
 */
const OFFICIAL_CHANGES = 5;

/**
 * What is ours has defaults, so that PostgresSaver goes on working on the same tables: its rows have the sequence 0, older than all
 * of ours, and no task path.
 */
const CHANGES: ReadonlyArray<(names: GraphTableNames) => string> = [
  ({ checkpoints, blobs, writes, officialLedger, tombstones }) => `
    CREATE TABLE IF NOT EXISTS ${officialLedger} (v INTEGER PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS ${checkpoints} (
      thread_id TEXT NOT NULL,
      checkpoint_ns TEXT NOT NULL DEFAULT '',
      checkpoint_id TEXT NOT NULL,
      parent_checkpoint_id TEXT,
      type TEXT,
      checkpoint JSONB NOT NULL,
      metadata JSONB NOT NULL DEFAULT '{}',
      PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)
    );
    CREATE TABLE IF NOT EXISTS ${blobs} (
      thread_id TEXT NOT NULL,
      checkpoint_ns TEXT NOT NULL DEFAULT '',
      channel TEXT NOT NULL,
      version TEXT NOT NULL,
      type TEXT NOT NULL,
      blob BYTEA,
      PRIMARY KEY (thread_id, checkpoint_ns, channel, version)
    );
    ALTER TABLE ${blobs} ALTER COLUMN blob DROP NOT NULL;
    CREATE TABLE IF NOT EXISTS ${writes} (
      thread_id TEXT NOT NULL,
      checkpoint_ns TEXT NOT NULL DEFAULT '',
      checkpoint_id TEXT NOT NULL,
      task_id TEXT NOT NULL,
      idx INTEGER NOT NULL,
      channel TEXT NOT NULL,
      type TEXT,
      blob BYTEA NOT NULL,
      PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
    );
    INSERT INTO ${officialLedger} (v) SELECT generate_series(0, ${OFFICIAL_CHANGES - 1}) ON CONFLICT DO NOTHING;
    ALTER TABLE ${checkpoints} ADD COLUMN IF NOT EXISTS write_seq BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE ${blobs} ADD COLUMN IF NOT EXISTS write_seq BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE ${writes} ADD COLUMN IF NOT EXISTS write_seq BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE ${writes} ADD COLUMN IF NOT EXISTS task_path TEXT NOT NULL DEFAULT '';
    ${tombstoneTable(tombstones, ['thread'])}
    ${tombstoneSettling(tombstones, 'idx_checkpoint_tombstones')}`,
];

/** The version of the tables that this release writes. */
export const GRAPH_SCHEMA_VERSION = CHANGES.length;

/** Columns without which a table of this name is another program's. */
const EXPECTED: Record<'checkpoints' | 'blobs' | 'writes' | 'tombstones' | 'ledger', readonly string[]> = {
  checkpoints: [
    'thread_id',
    'checkpoint_ns',
    'checkpoint_id',
    'parent_checkpoint_id',
    'checkpoint',
    'metadata',
  ],
  blobs: ['thread_id', 'checkpoint_ns', 'channel', 'version', 'type', 'blob'],
  writes: ['thread_id', 'checkpoint_ns', 'checkpoint_id', 'task_id', 'idx', 'channel', 'type', 'blob'],
  tombstones: ['scope', 'key', 'fence', 'created_at'],
  ledger: ['version'],
};

const OWNERS: Partial<Record<keyof typeof EXPECTED, string>> = {
  tombstones: "what belongs to the tables of LangGraph's PostgresSaver",
  ledger: "what belongs to the tables of LangGraph's PostgresSaver",
};

/** @throws SchemaMismatchError if a table of these names is another program's */
export function checkGraphTables(database: Database, names: GraphTableNames): Promise<void> {
  return database.withClient((client) => checkColumns(client, names));
}

/** Creates the tables, or adds what is ours to those of PostgresSaver. @throws SchemaMismatchError */
export function migrateGraphTables(database: Database, names: GraphTableNames): Promise<void> {
  return migrateFamily(database, familyOf(names));
}

/** The version of the tables as they are; 0 if one of them is missing. @throws SchemaMismatchError if a newer release made them. */
export function graphSchemaVersion(database: Database, names: GraphTableNames): Promise<number> {
  return familyVersion(database, familyOf(names));
}

function familyOf(names: GraphTableNames): TableFamily {
  return {
    label: names.label,
    quotedSchema: names.quotedSchema,
    ledger: names.ledger,
    tables: [names.checkpoints, names.blobs, names.writes, names.tombstones],
    changes: CHANGES.map((change) => change(names)),
    check: (client) => checkColumns(client, names),
  };
}

async function checkColumns(client: PgClient, names: GraphTableNames): Promise<void> {
  for (const table of Object.keys(EXPECTED) as (keyof typeof EXPECTED)[]) {
    const found = (await columnsOf(client, names[table])).map(({ name }) => name);
    const missing = found.length > 0 && EXPECTED[table].find((column) => !found.includes(column));
    if (missing) {
      throw new SchemaMismatchError(
        labelOfQuoted(names[table]),
        `is not ${OWNERS[table] ?? "a table of LangGraph's PostgresSaver"}: column ${missing} is missing`,
      );
    }
  }
}
