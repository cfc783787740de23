import { SchemaMismatchError } from '../errors.js';
import type { Database, PgClient } from './database.js';
import { queryRows } from './database.js';
import type { TableNames } from './identifiers.js';

/**
 * Schema changes: numbered, forward-only, applied under an advisory lock, so that any number of replicas may start at
 * once on an empty database. Each does no harm where it was applied before: they run again where a table was dropped. The first one also takes over a table that LangGraphGo's PostgreSQL store made; its programs
 * go on working beside us, for the added column has a default.
 */
const MIGRATIONS: ReadonlyArray<(names: TableNames) => string> = [
  (names) => `
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
    CREATE INDEX IF NOT EXISTS "idx_${names.table}_timestamp" ON ${names.checkpoints} (timestamp);
    CREATE TABLE IF NOT EXISTS ${names.tombstones} (
      scope TEXT NOT NULL CHECK (scope IN ('checkpoint', 'execution')),
      key TEXT NOT NULL,
      fence BIGINT NOT NULL,
      created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
      PRIMARY KEY (scope, key)
    );`,
  // Not settled: a delete left its tombstone and has not removed the rows under it yet. xid: the transaction that left it.
  (names) => `
    ALTER TABLE ${names.tombstones} ADD COLUMN IF NOT EXISTS settled BOOLEAN NOT NULL DEFAULT true;
    ALTER TABLE ${names.tombstones} ADD COLUMN IF NOT EXISTS xid XID8 NOT NULL DEFAULT '0';
    -- Short names: PostgreSQL cuts them after 63 bytes, which those of two indexes of a long table name might share.
    CREATE INDEX IF NOT EXISTS "idx_${names.table}_due" ON ${names.tombstones} (created_at) WHERE NOT settled;
    CREATE INDEX IF NOT EXISTS "idx_${names.table}_age" ON ${names.tombstones} (created_at);
    CREATE INDEX IF NOT EXISTS "idx_${names.table}_xid" ON ${names.tombstones} (xid);`,
];

/** The schema version that this release writes. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/** First of the two keys of every advisory lock that is taken here: "ckpt" in ASCII. */
export const ADVISORY_LOCK_CLASS = 0x636b7074;
const MIGRATION_LOCK = 1;

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
 * Brings the tables to this release's version; does nothing if they are there already.
 * @throws SchemaMismatchError if a table of that name has other columns, or was made by a newer release.
 */
export async function migrate(database: Database, names: TableNames): Promise<void> {
  if ((await schemaVersion(database, names)) === SCHEMA_VERSION) {
    await database.withClient((client) => checkColumns(client, names));
    return;
  }
  await database.withTransaction(
    async (client) => {
      await client.query('SELECT pg_advisory_xact_lock($1, $2)', [ADVISORY_LOCK_CLASS, MIGRATION_LOCK]);
      await checkColumns(client, names);
      if (!(await exists(client, 'to_regnamespace', names.quotedSchema))) {
        // Not simply IF NOT EXISTS: that needs the right to create schemas even where the schema is there.
        await client.query(`CREATE SCHEMA ${names.quotedSchema}`);
      }
      await client.query(
        `CREATE TABLE IF NOT EXISTS ${names.migrations}
         (version INTEGER PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())`,
      );
      const applied = await appliedVersion(client, names);
      for (const [index, statements] of MIGRATIONS.entries()) {
        if (index < applied) continue;
        await client.query(statements(names));
        await client.query(`INSERT INTO ${names.migrations} (version) VALUES ($1) ON CONFLICT DO NOTHING`, [
          index + 1,
        ]);
      }
    },
    { setup: 'SET LOCAL client_min_messages = warning;' },
  );
}

/** The version of the tables as they are; 0 if one of them is missing. @throws SchemaMismatchError if a newer release made them. */
export async function schemaVersion(database: Database, names: TableNames): Promise<number> {
  return database.withClient(async (client) => {
    if (!(await exists(client, 'to_regclass', names.migrations))) return 0;
    return appliedVersion(client, names);
  });
}

async function appliedVersion(client: PgClient, names: TableNames): Promise<number> {
  const [row] = await queryRows(
    client,
    `SELECT coalesce(max(version), 0) AS version FROM ${names.migrations}`,
  );
  const version = Number(row?.version);
  if (version > SCHEMA_VERSION) {
    throw new SchemaMismatchError(
      names.label,
      `has schema version ${version}; this release knows ${SCHEMA_VERSION}`,
    );
  }
  for (const table of [names.checkpoints, names.tombstones]) {
    if (!(await exists(client, 'to_regclass', table))) return 0;
  }
  return version;
}

async function exists(
  client: PgClient,
  lookup: 'to_regclass' | 'to_regnamespace',
  name: string,
): Promise<boolean> {
  const [row] = await queryRows(client, `SELECT ${lookup}($1) IS NOT NULL AS found`, [name]);
  return row?.found === 't';
}

/** Refuses a table that cannot be ours: `checkpoints` is also the name that LangGraph's PostgresSaver uses. */
async function checkColumns(client: PgClient, names: TableNames): Promise<void> {
  const columns = await queryRows(
    client,
    `SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type, a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AS required
       FROM pg_attribute a
      WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped`,
    [names.checkpoints],
  );
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
  const foreign = columns.find(
    ({ name, required }) => !((name as string) in EXPECTED_COLUMNS) && required === 't',
  );
  if (foreign) {
    throw new SchemaMismatchError(
      names.label,
      `has a column ${foreign.name} that must be filled and is not ours`,
    );
  }
  const [key] = await queryRows(
    client,
    `SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
      WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indnkeyatts = 1 AND i.indpred IS NULL
        AND a.attname = 'id'`,
    [names.checkpoints],
  );
  if (!key) throw new SchemaMismatchError(names.label, 'has no primary key on id');
}
