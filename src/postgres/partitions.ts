import { setTimeout as delay } from 'node:timers/promises';
import { DatabaseError } from '../errors.js';
import { type Database, type PgClient, queryRows } from './database.js';
import { literal, PERIODS, type Period, quoted, type TableNames } from './identifiers.js';
import { ADVISORY_LOCK_CLASS, exists } from './migrations.js';
import { overlap, type Partition, partitionsWanted } from './partition-periods.js';
import { PARTITIONED_BY } from './partitioned-schema.js';

/** Second key of the advisory lock under which partitions are made and dropped. */
const PARTITIONS_LOCK = 2;
/** While a lock of the whole table is waited for, writers and readers wait behind it. */
const TABLE_LOCK_LIMIT = '1s';
const LOCK_ATTEMPTS = 10;
const LOCK_PAUSE_MS = 200;
/** Rows of the fallback that are moved while the table is locked: well under a second. */
const MAX_MOVED_ROWS = 50_000;
/** Few enough that no statement holds its locks for long. */
const IDS_A_STATEMENT = 5000;

const LOCK_NOT_AVAILABLE = '55P03';
const UNDEFINED_TABLE = '42P01';

/**
 * Makes the partitions that are missing, from that of `from` to some ahead of now, and the default partition; does nothing to a table
 * whose partitions somebody else makes. Rows that the fallback holds of them are moved; where these are too many for the moment in which the table is
 * locked, the partition is not made and they stay where they are.
 * @param from default: now
 * @returns the names of the partitions made
 * @throws DatabaseError, with SQLSTATE 55P03 where others hold the table for 10 s
 */
export async function makePartitions(
  database: Database,
  names: TableNames,
  { now = new Date(), from = now }: { now?: Date; from?: Date } = {},
): Promise<string[]> {
  const missing = (client: PgClient) => missingPartitions(client, names, { from, now });
  if (isComplete(await database.withClient(missing))) return [];
  return lockingTable(database, names, async (client) => {
    const made: string[] = [];
    const { checkpoints, quotedSchema } = names;
    const like = `(LIKE ${checkpoints} INCLUDING ALL EXCLUDING IDENTITY)`;
    const left = await missing(client);
    if (isComplete(left)) return made;
    const fallback = await detachedFallback(client, names, like);
    for (const { name, from: start, to } of left.partitions) {
      const bounds = [start, to].map((time) => `'${time.toISOString()}'`);
      const range = `timestamp >= ${bounds[0]} AND timestamp < ${bounds[1]}`;
      const [row] = await queryRows(
        client,
        `SELECT count(*) AS count FROM (SELECT FROM ${fallback} WHERE ${range} LIMIT ${MAX_MOVED_ROWS + 1}) t`,
      );
      if (Number(row?.count) > MAX_MOVED_ROWS) continue;
      const partition = `${quotedSchema}.${quoted(name)}`;
      await client.query(`
        CREATE TABLE ${partition} ${like};
        WITH moved AS (DELETE FROM ${fallback} WHERE ${range} RETURNING *)
        INSERT INTO ${partition} SELECT * FROM moved;
        ALTER TABLE ${checkpoints} ATTACH PARTITION ${partition} FOR VALUES FROM (${bounds[0]}) TO (${bounds[1]})`);
      made.push(name);
    }
    await client.query(`ALTER TABLE ${checkpoints} ATTACH PARTITION ${fallback} DEFAULT`);
    return made;
  });
}

/**
 * The default partition, detached: then it has no triggers, and the ids of what is moved stay as they are. Where there is none, a new
 * one; beside a table of its name, which somebody has detached and may still want.
 */
async function detachedFallback(client: PgClient, names: TableNames, like: string): Promise<string> {
  const { checkpoints, quotedSchema, table } = names;
  const { fallback } = await partitionedBy(client, names);
  if (fallback !== undefined) {
    await client.query(`ALTER TABLE ${checkpoints} DETACH PARTITION ${fallback}`);
    return fallback;
  }
  for (let number = 2, free = names.fallback; ; number++) {
    if (!(await exists(client, 'to_regclass', free))) {
      await client.query(`CREATE TABLE ${free} ${like}`);
      return free;
    }
    free = `${quotedSchema}.${quoted(`${table}_default${number}`)}`;
  }
}

/** What a partitioned table lacks; nothing where somebody else makes its partitions. */
export interface MissingPartitions {
  readonly partitions: readonly Partition[];
  readonly fallback: boolean;
}

export async function missingPartitions(
  client: PgClient,
  names: TableNames,
  times: { from: Date; now: Date },
): Promise<MissingPartitions> {
  const { period, fallback } = await partitionedBy(client, names);
  if (!period) return { partitions: [], fallback: false };
  const found = await partitionsOf(client, names);
  const wanted = partitionsWanted(names.table, period, times);
  const partitions = wanted.filter((one) => !found.some((other) => overlap(one, other)));
  return { partitions, fallback: fallback === undefined };
}

function isComplete({ partitions, fallback }: MissingPartitions): boolean {
  return partitions.length === 0 && !fallback;
}

/** What `dropPartitions` has removed. */
export interface DroppedPartitions {
  readonly partitions: string[];
  /** Checkpoints of them. */
  readonly rows: number;
}

/**
 * Removes all partitions that hold nothing from `olderThan` on; none that is made ahead. Each is detached first, in a moment in
 * which the table is locked: from then on nobody sees its checkpoints. Then their ids are forgotten, in small steps, and an id
 * may be saved again as if it had never been. Broken off, a writer finishes it. Nothing of a plain table.
 *
 * What lies in the fallback is not touched; nor is a checkpoint that was saved again with a timestamp of another partition.
 * @throws DatabaseError, with SQLSTATE 55P03 where others hold the table for 10 s
 */
export async function dropPartitions(
  database: Database,
  names: TableNames,
  olderThan: Date,
): Promise<DroppedPartitions> {
  const limit = Math.min(olderThan.getTime(), Date.now());
  const found = await database.withClient((client) => partitionsOf(client, names));
  const partitions: string[] = [];
  for (const { name, to } of found) {
    if (to.getTime() > limit) continue;
    const partition = `${names.quotedSchema}.${quoted(name)}`;
    const detached = await lockingTable(database, names, async (client) => {
      if (!(await partitionsOf(client, names)).some((one) => one.name === name)) return false;
      await client.query(`
        ALTER TABLE ${names.checkpoints} DETACH PARTITION ${partition};
        COMMENT ON TABLE ${partition} IS ${literal(detachedFrom(names))}`);
      return true;
    });
    if (detached) partitions.push(name);
  }
  return { partitions, rows: await forgetDetached(database, names) };
}

/** Brings to its end what a `dropPartitions` left. @returns how many ids were forgotten */
export async function forgetDetached(database: Database, names: TableNames): Promise<number> {
  const detached = await database.query(
    `SELECT c.oid::regclass AS name FROM pg_class c
      WHERE c.relnamespace = to_regnamespace($1) AND NOT c.relispartition AND obj_description(c.oid, 'pg_class') = $2`,
    [names.quotedSchema, detachedFrom(names)],
  );
  let forgotten = 0;
  for (const { name } of detached) {
    try {
      forgotten += await forgetIds(database, names, name as string);
      await database.query(`DROP TABLE IF EXISTS ${name}`);
    } catch (error) {
      // Another one was faster.
      if (!(error instanceof DatabaseError) || error.sqlState !== UNDEFINED_TABLE) throw error;
    }
  }
  return forgotten;
}

/** Removes the ids of a detached partition, but of those that were saved again since. */
async function forgetIds(database: Database, { ids }: TableNames, detached: string): Promise<number> {
  let forgotten = 0;
  for (let last: string | null = null; ; ) {
    const [page]: Array<Record<string, string | null>> = await database.query(
      `WITH page AS MATERIALIZED (
           SELECT id, timestamp, write_seq FROM ${detached} WHERE $1::text IS NULL OR id > $1 ORDER BY id LIMIT $2),
         forgotten AS (DELETE FROM ${ids} WHERE id = ANY (ARRAY(
           SELECT k.id FROM page p JOIN ${ids} k
               ON k.id = p.id AND k.timestamp = p.timestamp AND k.write_seq = p.write_seq
            ORDER BY k.id COLLATE "C" FOR UPDATE OF k)) RETURNING 1)
       SELECT max(id) AS last, count(*) AS seen, (SELECT count(*) FROM forgotten) AS forgotten FROM page`,
      [last, IDS_A_STATEMENT],
    );
    forgotten += Number(page?.forgotten);
    last = page?.last ?? null;
    if (Number(page?.seen) < IDS_A_STATEMENT) return forgotten;
  }
}

/** Partitions with two bounds, the oldest first; none of a table that is not partitioned. */
async function partitionsOf(client: PgClient, { checkpoints }: TableNames): Promise<Partition[]> {
  const rows = await queryRows(
    client,
    `SELECT name, extract(epoch FROM bounds[1]::timestamptz) * 1000 AS from_ms, extract(epoch FROM bounds[2]::timestamptz) * 1000 AS to_ms
       FROM (SELECT c.relname AS name,
                 regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \\(''(.*)''\\) TO \\(''(.*)''\\)') AS bounds
               FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass($1)) p
      WHERE bounds IS NOT NULL ORDER BY bounds[1]::timestamptz`,
    [checkpoints],
  );
  return rows.map(({ name, from_ms, to_ms }) => ({
    name: name as string,
    from: new Date(Number(from_ms)),
    to: new Date(Number(to_ms)),
  }));
}

/** By what a partitioned table is partitioned, its default partition, and by which period its partitions are made if that is our business. */
export async function partitionedBy(
  client: PgClient,
  { checkpoints }: TableNames,
): Promise<{ key: string; period: Period | undefined; fallback: string | undefined }> {
  const [row] = await queryRows(
    client,
    `SELECT pg_get_partkeydef(to_regclass($1)) AS key, obj_description(to_regclass($1), 'pg_class') AS comment,
       (SELECT format('%I.%I', n.nspname, c.relname)
          FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partdefid JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE p.partrelid = to_regclass($1)) AS fallback`,
    [checkpoints],
  );
  return {
    key: row?.key ?? '',
    period: PERIODS.find((period) => row?.comment === PARTITIONED_BY + period),
    fallback: row?.fallback ?? undefined,
  };
}

function detachedFrom({ label }: TableNames): string {
  return `checkpoint-queue: dropped from ${label}`;
}

/** One transaction in which nobody else uses the table. It waits for that as briefly as others may have to wait behind it. */
async function lockingTable<T>(
  database: Database,
  { checkpoints }: TableNames,
  work: (client: PgClient) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await database.withTransaction(
        async (client) => {
          await client.query('SELECT pg_advisory_xact_lock($1, $2)', [ADVISORY_LOCK_CLASS, PARTITIONS_LOCK]);
          await client.query(
            `SET LOCAL lock_timeout = '${TABLE_LOCK_LIMIT}'; LOCK TABLE ONLY ${checkpoints}`,
          );
          return work(client);
        },
        { setup: 'SET LOCAL client_min_messages = warning;' },
      );
    } catch (error) {
      const taken = error instanceof DatabaseError && error.sqlState === LOCK_NOT_AVAILABLE;
      if (!taken || attempt === LOCK_ATTEMPTS) throw error;
      await delay(LOCK_PAUSE_MS * (0.5 + Math.random()));
    }
  }
}
