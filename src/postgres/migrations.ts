import { setTimeout as delay } from 'node:timers/promises';
import { DatabaseError, SchemaMismatchError } from '../errors.js';
import type { Database, PgClient } from './database.js';
import { queryRows } from './database.js';

/**
 * A family of tables and how it came to be: numbered, forward-only changes, applied under an advisory lock, so that any number of
 * replicas may start at once on an empty database. Each change does no harm where it was applied before: they run again
 * where a table was dropped.
 */
export interface TableFamily {
  /** For messages. */
  readonly label: string;
  readonly quotedSchema: string;
  /** The table that notes which changes were applied, quoted. */
  readonly ledger: string;
  /** Tables, quoted, without any of which all changes run again. */
  readonly tables: readonly string[];
  /** Functions of the newest version, quoted, the same of them. */
  readonly functions?: readonly string[];
  readonly changes: readonly string[];
  /** @throws SchemaMismatchError if a table of these names is another program's */
  check(client: PgClient): Promise<void>;
}

/** First of the two keys of every advisory lock that is taken here: "ckpt" in ASCII. */
export const ADVISORY_LOCK_CLASS = 0x636b7074;
const MIGRATION_LOCK = 1;

/**
 * Brings the tables to this release's version; does nothing if they are there already.
 * @throws SchemaMismatchError if a table of that name has other columns, or was made by a newer release.
 */
export async function migrateFamily(database: Database, family: TableFamily): Promise<void> {
  await database.withClient((client) => family.check(client));
  if ((await familyVersion(database, family)) === family.changes.length) return;
  const apply = () =>
    database.withTransaction(
      async (client) => {
        // The turn of another replica may take long: it may build an index. Only locks of tables are given up.
        await client.query('SELECT pg_advisory_xact_lock($1, $2)', [ADVISORY_LOCK_CLASS, MIGRATION_LOCK]);
        await client.query(`SET LOCAL lock_timeout = '${LOCK_LIMIT_MS}ms'`);
        await family.check(client);
        if (!(await exists(client, 'to_regnamespace', family.quotedSchema))) {
          // Not simply IF NOT EXISTS: that needs the right to create schemas even where the schema is there.
          await client.query(`CREATE SCHEMA ${family.quotedSchema}`);
        }
        await client.query(
          `CREATE TABLE IF NOT EXISTS ${family.ledger}
         (version INTEGER PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())`,
        );
        const applied = await appliedVersion(client, family);
        for (const [index, statements] of family.changes.entries()) {
          if (index < applied) continue;
          await client.query(statements);
          await client.query(`INSERT INTO ${family.ledger} (version) VALUES ($1) ON CONFLICT DO NOTHING`, [
            index + 1,
          ]);
        }
      },
      { setup: 'SET LOCAL client_min_messages = warning' },
    );
  for (let attempt = 1; ; attempt++) {
    try {
      return await apply();
    } catch (error) {
      const held = error instanceof DatabaseError && LOCKS_HELD.has(error.sqlState ?? '');
      if (!held || attempt === MAX_ATTEMPTS) throw error;
      await delay(LOCK_LIMIT_MS * Math.random());
    }
  }
}

/**
 * Tables that are in use are changed under a lock that everybody else waits behind, and readers lock them in another order than
 * writers: so it is given up soon, and tried again for about a minute.
 */
const LOCK_LIMIT_MS = 2000;
const MAX_ATTEMPTS = 20;
const LOCKS_HELD = new Set(['55P03', '40P01']);

/** The version of the tables as they are; 0 if one of them is missing. @throws SchemaMismatchError if a newer release made them. */
export async function familyVersion(database: Database, family: TableFamily): Promise<number> {
  return database.withClient(async (client) => {
    if (!(await exists(client, 'to_regclass', family.ledger))) return 0;
    return appliedVersion(client, family);
  });
}

/** A column of a table as PostgreSQL has it. */
export interface FoundColumn {
  readonly name: string;
  readonly type: string;
  /** Must be given a value by whoever inserts. */
  readonly required: boolean;
}

/** @param table quoted. @returns none if there is no such table */
export async function columnsOf(client: PgClient, table: string): Promise<FoundColumn[]> {
  const rows = await queryRows(
    client,
    `SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type, a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AS required
       FROM pg_attribute a
      WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped`,
    [table],
  );
  return rows.map(({ name, type, required }) => ({
    name: name as string,
    type: type as string,
    required: required === 't',
  }));
}

async function appliedVersion(
  client: PgClient,
  { ledger, label, tables, functions = [], changes }: TableFamily,
): Promise<number> {
  const [row] = await queryRows(client, `SELECT coalesce(max(version), 0) AS version FROM ${ledger}`);
  const version = Number(row?.version);
  if (version > changes.length) {
    throw new SchemaMismatchError(
      label,
      `has schema version ${version}; this release knows ${changes.length}`,
    );
  }
  for (const table of tables) {
    if (!(await exists(client, 'to_regclass', table))) return 0;
  }
  if (version < changes.length) return version;
  for (const name of functions) {
    if (!(await exists(client, 'to_regproc', name))) return 0;
  }
  return version;
}

/** @param name quoted */
export async function exists(
  client: PgClient,
  lookup: 'to_regclass' | 'to_regnamespace' | 'to_regproc',
  name: string,
): Promise<boolean> {
  const [row] = await queryRows(client, `SELECT ${lookup}($1) IS NOT NULL AS found`, [name]);
  return row?.found === 't';
}
