import type { Database, TextRow } from '../postgres/database.js';
import type { GraphTableNames } from '../postgres/graph-tables.js';
import type { TableNames } from '../postgres/identifiers.js';
import { type Check, error, ok, type Verdict, warning } from './finding.js';

/** A PostgreSQL that answers. */
export interface PostgresSubject {
  readonly database: Database;
  readonly names: TableNames;
  /** Of the LangGraph checkpointer; they are there once it has saved. */
  readonly graph: GraphTableNames;
  /** Connections that one worker may open. */
  readonly workerPool: number;
  /** For how long a pool keeps an idle connection. */
  readonly poolIdleMs: number;
  /** Worker replicas that run; undefined while Redis, who knows, cannot be asked. */
  readonly workers: number | undefined;
}

export const POSTGRES_CHECKS: ReadonlyArray<Check<PostgresSubject>> = [
  { name: 'postgres.version', look: version },
  { name: 'postgres.role', look: role },
  { name: 'postgres.connections', look: connections },
];

/** Of a checkpoint table that is ours, or not there yet. */
export const COMPRESSION_CHECK: Check<PostgresSubject> = { name: 'postgres.compression', look: compression };

const MIN_VERSION = 14;

async function version({ database }: PostgresSubject): Promise<Verdict> {
  const row = await onlyRow(
    database,
    `SELECT current_setting('server_version') AS text, current_setting('server_version_num') AS number`,
  );
  const seen = `PostgreSQL ${row.text}`;
  if (Number(row.number) >= MIN_VERSION * 10_000) return ok(seen);
  return error(seen, `Run PostgreSQL ${MIN_VERSION} or newer.`);
}

async function role({ database }: PostgresSubject): Promise<Verdict> {
  const row = await onlyRow(
    database,
    `SELECT current_setting('transaction_read_only') AS read_only, pg_is_in_recovery() AS standby`,
  );
  if (row.read_only === 'off') return ok('takes writes');
  const because = row.standby === 't' ? 'it is a standby' : 'default_transaction_read_only is on';
  return error(`takes no writes: ${because}`, 'Point DATABASE_URL to the primary, or allow writes again.');
}

/** Of all that the server admits: the next program that connects may be refused. */
const USED_SHARE = 0.8;

const CONNECTIONS = `
  SELECT least(
      current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0),
      (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
      (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())) AS admitted,
    (SELECT sum(numbackends) FROM pg_stat_database) AS used`;

async function connections({ database, workerPool, workers }: PostgresSubject): Promise<Verdict> {
  const row = await onlyRow(database, CONNECTIONS);
  const [admitted, used] = [Number(row.admitted), Number(row.used)];
  const seen = `${used} of ${admitted} used; a worker opens up to ${workerPool}`;
  if (workerPool > admitted) {
    return error(
      seen,
      'Lower pool_max_conns in DATABASE_URL or CKPT_MAX_CONCURRENT_BATCHES, or raise max_connections (or the limit of this role or database).',
    );
  }
  if (workers !== undefined && workers * workerPool > admitted) {
    return warning(
      `${seen}, and ${workers} workers run`,
      'Run fewer workers, lower pool_max_conns in DATABASE_URL, or raise max_connections.',
    );
  }
  if (used > USED_SHARE * admitted) {
    return warning(
      seen,
      'See who holds them: SELECT usename, application_name, count(*) FROM pg_stat_activity GROUP BY 1, 2.',
    );
  }
  return ok(seen);
}

async function compression({ database, names }: PostgresSubject): Promise<Verdict> {
  const [row] = await database.query(
    `SELECT setting, 'lz4' = ANY (enumvals) AS lz4,
       (SELECT attcompression FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = 'state') AS of_column
     FROM pg_settings WHERE name = 'default_toast_compression'`,
    [names.checkpoints],
  );
  return compressionVerdict(
    {
      available: row?.lz4 === 't',
      used: row?.of_column === 'l' || (!row?.of_column && row?.setting === 'lz4'),
    },
    names.checkpoints,
  );
}

export function compressionVerdict(lz4: { available: boolean; used: boolean }, table: string): Verdict {
  if (lz4.used) return ok('states are compressed with lz4');
  if (!lz4.available) return ok('states are compressed with pglz; this server was built without lz4');
  return ok(
    'states are compressed with pglz',
    `lz4 is there and takes less CPU for large states: ALTER TABLE ${table} ALTER COLUMN state SET COMPRESSION lz4 (for what is written from then on).`,
  );
}

export async function onlyRow(database: Database, sql: string, values: unknown[] = []): Promise<TextRow> {
  return (await database.query(sql, values))[0] as TextRow;
}

/** @param table quoted */
export async function tableExists(database: Database, table: string): Promise<boolean> {
  return (await onlyRow(database, 'SELECT to_regclass($1) IS NOT NULL AS found', [table])).found === 't';
}
