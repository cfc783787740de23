import type { SerializedCheckpoint } from '../checkpoint.js';
import type { TextRow } from './database.js';
import type { TableNames } from './identifiers.js';
import { rowEstimateSql } from './row-estimate.js';
import { SAFEGUARDS } from './safeguards.js';
import { CLOCK, coversRecord, ROWS_UP_TO, type TombstoneSql, tombstoneSql, UNSEEN } from './tombstones.js';

/** All SQL on the checkpoint table and its tombstones. Names are quoted identifiers; every value is a parameter or COPY. */
export interface CheckpointTableSql extends Omit<TombstoneSql, 'lockBatch'> {
  readonly copy: string;
  /** $1: the round. Stores the staged records of that round that are newer than what is stored and under no tombstone. */
  readonly merge: string;
  /** Removes what is stored under the keys that are staged. */
  readonly removeStaged: string;
  /** How many staged records are under a tombstone. */
  readonly countTombstoned: string;
  /**
   * The last statements of a batch before COMMIT: takes its lock, the sign that it is about to commit, then removes those of
   * its rows whose tombstone came behind the horizon.
   */
  readonly lastLook: string;
  /** $1 keys, $2 fences, of tombstones of one scope: deletes what is under them, and notes that it is done. */
  readonly removeBuried: Readonly<Record<Scope, string>>;
  /** $1 to $7: columns as arrays, $8: places in the batch, $9: sequence must be above. Returns id, sequence, stored. */
  readonly upsertNow: string;
  /** $1 to $7: columns, $8: sequence from Redis, or null for this server's clock, $9: it must be above. Writes if nothing or version 0 is stored. Returns the sequence written. */
  readonly writeFirst: string;
  /** As `writeFirst`, if version $10 is stored; never inserts. */
  readonly writeSuccessor: string;
  /** $1 id. Without a row that a delete is about to remove; the two above take no notice of it either. */
  readonly version: string;
  readonly load: string;
  readonly latest: string;
  /** $1 ids, $2 execution ids: what became of queued records. Returns id, version and sequence of the stored row, and the fence, the clock of a delete without Redis and the time in µs of the latest delete, in the order given. */
  readonly fates: string;
  /** Returns PostgreSQL's own estimate, or null where it has none; no row where the table is missing. */
  readonly estimateRows: string;
  list(options: { before?: 'time' | 'id'; after?: 'time' | 'id' }): string;
}

/** What a delete covers: one checkpoint by its id, or all of an execution. */
export type Scope = 'checkpoint' | 'execution';

/**
 * The staging columns in the order in which COPY sends them. Whoever changes them gives the table another name: the connections
 * of a pooler outlive a release, with the table of the one before.
 */
export const STAGING_COLUMNS = [
  'round SMALLINT',
  'id TEXT',
  'execution_id TEXT',
  'node_name TEXT',
  'state JSONB',
  'metadata JSONB',
  'timestamp TIMESTAMPTZ',
  'version INTEGER',
  'write_seq BIGINT',
];

/** The columns of a checkpoint. */
export const COLUMNS = [
  'id',
  'execution_id',
  'node_name',
  'state',
  'metadata',
  'timestamp',
  'version',
  'write_seq',
] as const;

export type Column = (typeof COLUMNS)[number];

/** The columns of a direct write, as parameters; the sequence is decided. */
export const GIVEN: Readonly<Record<Exclude<Column, 'write_seq'>, string>> = {
  id: '$1::text',
  execution_id: '$2::text',
  node_name: '$3::text',
  state: '$4::jsonb',
  metadata: '$5::jsonb',
  timestamp: '$6::timestamptz',
  version: '$7::integer',
};

/**
 * The table that decides which save of an id is stored, locked by the id's row: the checkpoints themselves, unless they are
 * partitioned.
 */
export interface Authority {
  readonly table: string;
  /** Which of the columns it has: at least id, execution, version and sequence. */
  readonly columns: readonly Column[];
  /** Of a row `t` of it: whether it stands for no checkpoint. Asked only where the row would otherwise win. */
  readonly vacant?: string;
  /** Ends `upsertNow`: what follows of `input`, and of those of it that are `stored`. */
  readonly follow?: string;
}
// Milliseconds since 1970 as text: independent of DateStyle and of the application's type parsers.
const SELECT = `SELECT id, execution_id, node_name, state, metadata,
  floor(extract(epoch FROM timestamp) * 1000) AS timestamp_ms, version, write_seq AS sequence`;
// The order of a list: time, then version, then the order of saving. "C" is the order of the bytes, as everywhere here.
export const POSITION = 'timestamp, version, write_seq, id COLLATE "C"';
export const POSITION_DESC = 'timestamp DESC, version DESC, write_seq DESC, id COLLATE "C" DESC';

export function checkpointTableSql(
  names: TableNames,
  { gate, guard } = SAFEGUARDS,
  authority: Authority = { table: names.checkpoints, columns: COLUMNS },
): CheckpointTableSql {
  const { checkpoints, tombstones, staging } = names;
  const { table, vacant, follow = '' } = authority;
  const columns = authority.columns.join(', ');
  const covered = coversRecord('s.write_seq');
  const tombstoned = `(
    EXISTS (SELECT FROM ${tombstones} d WHERE d.scope = 'checkpoint' AND d.key = s.id AND ${covered})
    OR EXISTS (SELECT FROM ${tombstones} d WHERE d.scope = 'execution' AND d.key = s.execution_id AND ${covered}))`;
  const assign = assignment(authority.columns, ['id']);
  const assignNow = assign.replace(
    'write_seq = excluded.write_seq',
    'write_seq = greatest(excluded.write_seq, t.write_seq + 1)',
  );
  const highest = (value: string, id: string, execution: string) =>
    `(SELECT max(${value}) FROM ${tombstones} d WHERE ${covers(id, execution)})`;
  const givenSequence = `greatest(coalesce($8::bigint, ${CLOCK}), $9::bigint + 1, ${highest(ROWS_UP_TO, '$1', '$2')} + 1)`;
  const given = { ...GIVEN, write_seq: givenSequence };
  const gone = goneCondition(names);
  /** Of a row of the authority: it counts as if it were not there. */
  const absent = vacant ? `(${gone} OR ${vacant})` : gone;

  // Rows are locked in the order in which batches lock them, tombstones by their keys: otherwise they would deadlock. Where a later
  // delete has raised the fence, the rest is its business; the row is written all the same, so that this commit is flushed.
  const removeBuried = (scope: Scope, column: string) => `
    WITH buried AS MATERIALIZED (
        SELECT b.key, b.fence FROM unnest($1::text[], $2::bigint[]) AS b (key, fence)
          JOIN ${tombstones} d ON d.scope = '${scope}' AND d.key = b.key
         ORDER BY d.key COLLATE "C" FOR UPDATE OF d),
      removed AS (DELETE FROM ${table} WHERE id = ANY (ARRAY(
        SELECT t.id FROM ${table} t JOIN buried b ON t.${column} = b.key AND t.write_seq <= b.fence
         ORDER BY t.id COLLATE "C" FOR UPDATE OF t)))
    UPDATE ${tombstones} d SET settled = d.settled OR ${ROWS_UP_TO} = b.fence FROM buried b
     WHERE d.scope = '${scope}' AND d.key = b.key`;

  const assignSuccessor = authority.columns
    .filter((column) => column !== 'id')
    .map((column) =>
      column === 'write_seq'
        ? `write_seq = greatest(${givenSequence}, t.write_seq + 1)`
        : `${column} = ${given[column]}`,
    )
    .join(', ');

  const { lockBatch, openBatch, ...ofTombstones } = tombstoneSql({
    tombstones,
    label: names.label,
    withClock: true,
    newest: {
      checkpoint: `SELECT t.write_seq FROM ${table} t WHERE t.id = r.key`,
      // Not max(): that takes a millisecond longer to plan.
      execution: `SELECT t.write_seq FROM ${table} t WHERE t.execution_id = r.key ORDER BY t.write_seq DESC LIMIT 1`,
    },
  });
  return {
    ...ofTombstones,
    // With each batch, though it is made once for a connection: behind a pooler of transactions nobody knows which one it gets.
    openBatch: `
      ${openBatch};
      CREATE TEMP TABLE IF NOT EXISTS ${staging} (${STAGING_COLUMNS.join(', ')}) ON COMMIT DELETE ROWS`,
    copy: `COPY pg_temp.${staging} FROM STDIN (FORMAT binary)`,
    // Sorted by key, so that concurrent batches take their row locks in one order and do not deadlock.
    merge: `
      INSERT INTO ${table} AS t (${columns})
      SELECT ${columns} FROM pg_temp.${staging} s WHERE s.round = $1 ${guard ? `AND NOT ${tombstoned}` : ''}
      ORDER BY s.id COLLATE "C"
      ON CONFLICT (id) DO UPDATE SET ${assign}
      WHERE (t.version, t.write_seq) < (excluded.version, excluded.write_seq) OR ${absent}`,
    removeStaged: `DELETE FROM ${table} t WHERE t.id = ANY (ARRAY(SELECT id FROM pg_temp.${staging}))`,
    countTombstoned: `SELECT count(*) AS count FROM pg_temp.${staging} s WHERE ${tombstoned}`,
    // Behind the horizon of a foreign transaction that stays open for long there may be thousands of tombstones: none is looked
    // at unless its key is staged. Only rows that this batch wrote are touched, which it has locked already: any other one could
    // be waited for by who deletes, and be waiting for us. They are found by an array of their ids: a join the planner would
    // rather do by reading all of a table with ten million rows.
    lastLook: gate
      ? `
      ${lockBatch};
      WITH doomed AS MATERIALIZED (
        SELECT s.id, s.write_seq FROM pg_temp.${staging} s
         WHERE EXISTS (SELECT FROM ${tombstones} d WHERE ${UNSEEN})
           AND (EXISTS (SELECT FROM ${tombstones} d
                 WHERE d.scope = 'checkpoint' AND d.key = s.id AND ${covered} AND ${UNSEEN})
             OR EXISTS (SELECT FROM ${tombstones} d
                 WHERE d.scope = 'execution' AND d.key = s.execution_id AND ${covered} AND ${UNSEEN})))
      DELETE FROM ${table} t USING doomed
       WHERE t.id = ANY (ARRAY(SELECT id FROM doomed)) AND t.id = doomed.id AND t.write_seq = doomed.write_seq
         AND t.xmin = pg_current_xact_id()::xid`
      : 'SELECT; SELECT FROM pg_class LIMIT 0',
    removeBuried: {
      checkpoint: removeBuried('checkpoint', 'id'),
      execution: removeBuried('execution', 'execution_id'),
    },
    // A direct write is the newest by being made now: whatever the clocks say, its sequence is set above the fences of its
    // keys, above $9 and above the stored row's. Only the version can make it give way.
    upsertNow: `
      WITH input AS (
        SELECT r.id, r.execution_id, r.node_name, r.state::jsonb AS state, r.metadata::jsonb AS metadata,
            r.timestamp::timestamptz AS timestamp, r.version,
            greatest($9::bigint, ${CLOCK}, ${highest(ROWS_UP_TO, 'r.id', 'r.execution_id')}) + r.position AS write_seq
          FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[], $8::integer[])
            AS r (id, execution_id, node_name, state, metadata, timestamp, version, position)
      ), stored AS (
        INSERT INTO ${table} AS t (${columns})
        SELECT ${columns} FROM input ORDER BY id COLLATE "C"
        ON CONFLICT (id) DO UPDATE SET ${assignNow}
        WHERE t.version <= excluded.version OR ${absent}
        RETURNING id, write_seq
      ) ${follow}
      SELECT input.id, coalesce(stored.write_seq, input.write_seq) AS sequence, stored.id IS NOT NULL AS stored
        FROM input LEFT JOIN stored USING (id)`,
    // Both compare with the row as it is when they have locked it, whatever their snapshot. An INSERT for all versions would
    // bring back a row that was deleted meanwhile.
    writeFirst: `
      INSERT INTO ${table} AS t (${columns})
      VALUES (${authority.columns.map((column) => given[column]).join(', ')})
      ON CONFLICT (id) DO UPDATE SET ${assignNow} WHERE t.version = 0 OR ${absent}
      RETURNING write_seq AS sequence`,
    writeSuccessor: `
      UPDATE ${table} AS t SET ${assignSuccessor}
      WHERE id = $1::text AND version = $10::integer AND NOT ${absent}
      RETURNING write_seq AS sequence`,
    version: `SELECT version FROM ${table} t WHERE id = $1 AND NOT ${absent}`,
    load: `${SELECT} FROM ${checkpoints} t WHERE id = $1 AND NOT ${gone}`,
    latest: `
      ${SELECT} FROM ${checkpoints} t WHERE execution_id = $1 AND NOT ${gone} ORDER BY ${POSITION_DESC} LIMIT 1`,
    fates: `
      SELECT r.id, r.execution_id, t.version, t.write_seq AS sequence,
          ${highest('d.fence', 'r.id', 'r.execution_id')} AS fence,
          ${highest('d.up_to_clock', 'r.id', 'r.execution_id')} AS up_to_clock,
          ${highest('(extract(epoch FROM d.created_at) * 1000000)::bigint', 'r.id', 'r.execution_id')} AS deleted_at
        FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS r (id, execution_id, position)
        LEFT JOIN ${table} t ON t.id = r.id ORDER BY r.position`,
    estimateRows: rowEstimateSql(table),
    list: ({ before, after }) => {
      const anchor = (parameter: string) => `(
        SELECT ${POSITION} FROM ${table} WHERE id = ${parameter} AND execution_id = $1)`;
      const bound = (kind: 'time' | 'id' | undefined, operator: '<' | '>', parameter: string) => {
        if (kind === 'id') return `AND (${POSITION}) ${operator} ${anchor(parameter)}`;
        return kind === 'time' ? `AND timestamp ${operator} ${parameter}::timestamptz` : '';
      };
      const afterParameter = before ? '$4' : '$3';
      return `${SELECT} FROM ${checkpoints} t WHERE execution_id = $1 AND NOT ${gone}
        ${bound(before, '<', '$3')} ${bound(after, '>', afterParameter)} ORDER BY ${POSITION} LIMIT $2`;
    },
  };
}

/**
 * Of a row `t`: whether a delete has left its tombstone and is about to remove it. In between it counts as gone, for who reads and
 * for who writes.
 */
export function goneCondition({ tombstones }: Pick<TableNames, 'tombstones'>): string {
  return `EXISTS (
        SELECT FROM ${tombstones} d
         WHERE NOT d.settled AND ${ROWS_UP_TO} >= t.write_seq AND ${covers('t.id', 't.execution_id')})`;
}

/** What a tombstone `d` covers: a checkpoint by its id, or all of an execution. */
function covers(id: string, execution: string): string {
  return `(d.scope = 'checkpoint' AND d.key = ${id} OR d.scope = 'execution' AND d.key = ${execution})`;
}

/** What `ON CONFLICT` sets: all columns but those of the key. */
export function assignment(columns: readonly Column[], key: readonly Column[]): string {
  return columns
    .filter((column) => !key.includes(column))
    .map((column) => `${column} = excluded.${column}`)
    .join(', ');
}

/** A row of `load`, `latest` or `list`. */
export function checkpointOfRow(row: TextRow): SerializedCheckpoint {
  return {
    id: row.id as string,
    executionId: row.execution_id as string,
    nodeName: row.node_name as string,
    state: row.state as string,
    metadata: row.metadata ?? null,
    timestamp: new Date(Number(row.timestamp_ms)),
    version: Number(row.version),
  };
}
