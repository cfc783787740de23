import type { Database } from '../postgres/database.js';
import { ENCODING, ENCODINGS } from '../postgres/encoding.js';
import { type Check, error, ok, type Verdict, warning, worstOf } from './finding.js';
import { onlyRow, type PostgresSubject } from './postgres-checks.js';

/** What a session has from its database, from its role and from DATABASE_URL. */
export const SESSION_CHECKS: ReadonlyArray<Check<PostgresSubject>> = [
  { name: 'postgres.encoding', look: encoding },
  { name: 'postgres.settings', look: settings },
  { name: 'postgres.timeouts', look: timeouts },
];

async function encoding({ database }: PostgresSubject): Promise<Verdict> {
  const { server, client } = await onlyRow(database, ENCODINGS);
  if (server !== ENCODING) {
    return error(
      `the database has the encoding ${server}: stores and workers refuse it, for characters that it lacks, such as emoji, cannot be stored`,
      `An encoding cannot be changed: CREATE DATABASE … ENCODING '${ENCODING}' TEMPLATE template0; then point DATABASE_URL to it. pg_dump and pg_restore take along what is stored.`,
    );
  }
  if (client !== ENCODING) {
    return error(
      `client_encoding is ${client}: stores and workers refuse it`,
      'Remove client_encoding from DATABASE_URL, and from the settings of the pooler.',
    );
  }
  return ok(ENCODING);
}

/** A setting as the session has it, and the SQL or the advice that changes it. */
interface Setting {
  readonly name: string;
  readonly value: string;
  readonly set: (value: string) => string;
}

/** @returns those that this server knows */
async function settingsOf(database: Database, names: readonly string[]): Promise<Setting[]> {
  const rows = await database.query(
    `SELECT name, setting, source, quote_ident(current_user) AS role, quote_ident(current_database()) AS database
       FROM pg_settings WHERE name = ANY ($1::text[])`,
    [names],
  );
  return rows.map(({ name, setting, source, role, database: where }) => ({
    name: name as string,
    value: setting as string,
    // What a connection asks for wins over what its role has.
    set: (value) =>
      source === 'client'
        ? `Remove ${name} from DATABASE_URL.`
        : `ALTER ROLE ${role} IN DATABASE ${where} SET ${name} = ${value};`,
  }));
}

async function settings({ database }: PostgresSubject): Promise<Verdict> {
  const verdicts: Verdict[] = [ok('as they are needed')];
  for (const { name, value, set } of await settingsOf(database, Object.keys(NEEDED_SETTINGS))) {
    const needed = NEEDED_SETTINGS[name];
    if (needed && needed.refused === value) {
      verdicts.push(error(`${name} is ${value}: ${needed.consequence}`, set(needed.instead)));
    }
  }
  return worstOf(verdicts);
}

const NEEDED_SETTINGS: Readonly<Record<string, { refused: string; instead: string; consequence: string }>> = {
  standard_conforming_strings: {
    refused: 'off',
    instead: 'on',
    consequence: 'backslashes in SQL are read in another way than they are written here',
  },
  session_replication_role: {
    refused: 'replica',
    instead: 'origin',
    consequence: 'triggers do not fire, which keep partitions and ids of a partitioned table in line',
  },
};

interface Limit {
  readonly name: string;
  /** Milliseconds; 0, which means no limit, is enough. */
  readonly enough: number;
  /** Below, it does not work at all. */
  readonly needed?: number;
  readonly consequence: string;
}

/** The server's own limits of a batch are 30 s for a statement and for being idle, 10 s for a lock; it is given up after 35 s. */
const BATCH_MS = 35_000;

function limits(poolIdleMs: number): Limit[] {
  return [
    {
      name: 'statement_timeout',
      enough: 30_000,
      needed: 1000,
      consequence:
        'what takes longer is cut off: reads, deletes, prunes, migrations (batches have a limit of their own)',
    },
    {
      name: 'transaction_timeout',
      enough: BATCH_MS,
      needed: BATCH_MS,
      consequence: 'batches that take longer are cut off, again at each try',
    },
    {
      name: 'lock_timeout',
      enough: 5000,
      consequence:
        'deletes, and saves with an expected version, fail where another one holds a row for longer',
    },
    {
      name: 'idle_in_transaction_session_timeout',
      enough: 5000,
      consequence:
        'a process that is busy for longer between two statements loses its transaction, of a migration for instance',
    },
    {
      name: 'idle_session_timeout',
      enough: poolIdleMs + 1000,
      consequence: `connections are cut before the pools, which keep idle ones for ${poolIdleMs} ms, close them: what is sent at that moment fails`,
    },
  ];
}

async function timeouts({ database, poolIdleMs }: PostgresSubject): Promise<Verdict> {
  const wanted = limits(poolIdleMs);
  const found = await settingsOf(
    database,
    wanted.map(({ name }) => name),
  );
  const short = wanted.flatMap((limit) => {
    const setting = found.find(({ name }) => name === limit.name);
    const ms = Number(setting?.value ?? 0);
    return setting && ms > 0 && ms < limit.enough ? [{ ...limit, ms, set: setting.set }] : [];
  });
  if (short.length === 0) return ok('none is too short');
  const seen = short.map(({ name, ms, consequence }) => `${name} is ${ms} ms: ${consequence}`).join('; ');
  const todo = short.map(({ set, enough }) => set(`'${Math.ceil(enough / 1000)}s'`)).join(' ');
  return short.some(({ ms, needed = 0 }) => ms < needed) ? error(seen, todo) : warning(seen, todo);
}
