import { quoted } from '../postgres/identifiers.js';
import { expectedIndexes, indexesOf, serves } from '../postgres/indexes.js';
import { tableKind } from '../postgres/table-statements.js';
import { type Check, error, mebibytes, ok, type Verdict, warning } from './finding.js';
import { COMPRESSION_CHECK, onlyRow, type PostgresSubject, tableExists } from './postgres-checks.js';
import type { FamilyStates } from './table-families.js';

/** What is looked at in tables. */
export interface TableSubject extends PostgresSubject {
  readonly families: FamilyStates;
  /** All tables that are ours, quoted; some may be missing. */
  readonly tables: readonly string[];
}

/** Of all tables that are ours. Where they are missing, `postgres.schema` says so and these have nothing to say. */
export const TABLE_CHECKS: ReadonlyArray<Check<TableSubject>> = [
  { name: 'postgres.autovacuum', look: autovacuum },
  { name: 'postgres.dead-tuples', look: deadTuples },
  { name: 'postgres.catalog', look: catalog },
];

/** Of the checkpoint table and its tombstones. */
export const CHECKPOINT_TABLE_CHECKS: ReadonlyArray<Check<TableSubject>> = [
  { name: 'postgres.indexes', look: indexes },
  { name: 'postgres.index-use', look: indexUse },
  COMPRESSION_CHECK,
];

/** The tables that are ours. */
export function ownTables({ names, graph }: PostgresSubject, families: FamilyStates): string[] {
  const { checkpoints, ids, tombstones } = names;
  return [
    ...(families.checkpoints.own ? [checkpoints, ids, tombstones] : []),
    ...(families.graph.own ? [graph.checkpoints, graph.blobs, graph.writes, graph.tombstones] : []),
  ];
}

async function indexes({ database, names }: PostgresSubject): Promise<Verdict> {
  const missing: string[] = [];
  const creating: string[] = [];
  let there = 0;
  const kind = await database.withClient((client) => tableKind(client, names));
  for (const [table, expected] of expectedIndexes(names, kind)) {
    const found = await indexesOf(database, table);
    if (found.length === 0 && !(await tableExists(database, table))) continue;
    for (const index of expected) {
      if (found.some((one) => serves(one, index))) {
        there++;
        continue;
      }
      missing.push(index.name);
      const broken = found.find(({ name, valid }) => name === index.name && !valid);
      const drop = index.create.includes('CONCURRENTLY') ? 'DROP INDEX CONCURRENTLY' : 'DROP INDEX';
      if (broken) creating.push(`${drop} ${names.quotedSchema}.${quoted(index.name)}`);
      creating.push(index.create);
    }
  }
  if (missing.length === 0) return ok(there === 0 ? 'no tables' : `all ${there} are there`);
  return error(`missing or not valid: ${missing.join(', ')}`, `${creating.join('; ')};`);
}

/** Below, scanning a table costs little, and PostgreSQL rightly prefers it. */
const SMALL_TABLE_ROWS = 10_000;
/** Scans of whole tables that a dump or a look by hand explains. */
const FEW_SCANS = 100;
const SMALL_INDEX_BYTES = 1024 * 1024;

async function indexUse({ database, names }: PostgresSubject): Promise<Verdict> {
  const own = expectedIndexes(names).get(names.checkpoints) ?? [];
  const found = await indexesOf(database, names.checkpoints);
  const [row] = await database.query(
    'SELECT seq_scan AS whole, coalesce(idx_scan, 0) AS by_index, n_live_tup AS rows FROM pg_stat_user_tables WHERE relid = to_regclass($1)',
    [names.checkpoints],
  );
  const [whole, byIndex, rows] = [
    Number(row?.whole ?? 0),
    Number(row?.by_index ?? 0),
    Number(row?.rows ?? 0),
  ];
  const scans = found.map(({ name, scans }) => `${name} ${scans}`).join(', ');
  const seen = `scans by index: ${scans || 'none'}; of the whole table: ${whole}`;
  if (rows >= SMALL_TABLE_ROWS && whole >= FEW_SCANS && whole > byIndex) {
    return warning(
      seen,
      `Most reads go through all ${rows} rows. ANALYZE ${names.checkpoints}; and look for queries of other programs in pg_stat_statements.`,
    );
  }
  const unused = found.filter(
    (index) =>
      index.scans === 0 &&
      !index.unique &&
      index.bytes >= SMALL_INDEX_BYTES &&
      !own.some((one) => serves(index, one)),
  );
  if (unused.length === 0) return ok(seen);
  const list = unused.map(({ name, bytes }) => `${name} (${mebibytes(bytes)})`).join(', ');
  return warning(
    `never used since the statistics were reset: ${list}`,
    'It is none of ours, and every save has to keep it up. DROP INDEX CONCURRENTLY, if nobody needs it.',
  );
}

async function autovacuum({ database, tables }: TableSubject): Promise<Verdict> {
  const row = await onlyRow(
    database,
    `SELECT current_setting('autovacuum') AS autovacuum, current_setting('track_counts') AS counts,
       (SELECT string_agg(oid::regclass::text, ', ') FROM pg_class
         WHERE oid IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS name)
           AND reloptions && '{autovacuum_enabled=false,autovacuum_enabled=off}') AS without`,
    [tables],
  );
  if (row.autovacuum === 'off' || row.counts === 'off') {
    return error(
      'switched off on this server: tables and catalog grow without end',
      'Set autovacuum = on and track_counts = on.',
    );
  }
  if (row.without) {
    return error(
      `switched off for ${row.without}: it grows without end`,
      `ALTER TABLE … RESET (autovacuum_enabled).`,
    );
  }
  return ok('on');
}

/** More dead rows than this share of the living ones: autovacuum, which begins at a fifth, does not keep up. */
const DEAD_SHARE = 0.5;

async function deadTuples({ database, tables }: TableSubject): Promise<Verdict> {
  const rows = await database.query(
    `SELECT relid::regclass::text AS name, n_live_tup AS live, n_dead_tup AS dead, pg_total_relation_size(relid) AS bytes
       FROM pg_stat_user_tables WHERE relid IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS name) ORDER BY 1`,
    [tables],
  );
  const seen = rows.map((row) => ({
    name: row.name as string,
    live: Number(row.live),
    dead: Number(row.dead),
    bytes: Number(row.bytes),
  }));
  const text = (some: typeof seen) =>
    some
      .map(({ name, live, dead, bytes }) => `${name} ${live} rows, ${dead} dead, ${mebibytes(bytes)}`)
      .join('; ');
  const bloated = seen.filter(({ live, dead }) => dead > SMALL_TABLE_ROWS && dead > DEAD_SHARE * live);
  if (bloated.length === 0) return ok(text(seen) || 'no tables');
  return warning(
    text(bloated),
    `VACUUM (ANALYZE) ${bloated.map(({ name }) => name).join(', ')}; then let autovacuum do more: autovacuum_vacuum_cost_limit up, autovacuum_vacuum_scale_factor of these tables down. A transaction that is open for hours keeps it from removing anything.`,
  );
}

/** A small catalog that is mostly air harms nobody. */
const SMALL_CATALOG_BYTES = 32 * 1024 * 1024;
/** A row of pg_attribute with its two indexes takes about 250 bytes; autovacuum leaves some air. */
const CATALOG_ROW_BYTES = 1000;

async function catalog({ database }: PostgresSubject): Promise<Verdict> {
  const row = await onlyRow(
    database,
    `SELECT pg_total_relation_size(c.oid) AS bytes, greatest(s.n_live_tup, c.reltuples) AS live
       FROM pg_class c LEFT JOIN pg_stat_sys_tables s ON s.relid = c.oid WHERE c.oid = 'pg_catalog.pg_attribute'::regclass`,
  );
  const [bytes, live] = [Number(row.bytes), Number(row.live)];
  const seen = `pg_attribute has ${mebibytes(bytes)} for ${live} rows`;
  if (bytes < SMALL_CATALOG_BYTES || bytes < live * CATALOG_ROW_BYTES) return ok(seen);
  return warning(
    seen,
    'Something makes temporary tables all the time, which slows down every query; our workers make one for each connection. See whether pool_max_conn_lifetime is very short, then VACUUM FULL pg_catalog.pg_attribute when nobody works.',
  );
}
