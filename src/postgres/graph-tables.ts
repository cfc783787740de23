import { checkSchema, labelOf, quoted } from './identifiers.js';
import { SAFEGUARDS } from './safeguards.js';
import { stagingTable } from './staging.js';
import { CLOCK, type TombstoneSql, tombstoneSql, UNSEEN } from './tombstones.js';

/** The tables of LangGraph's PostgresSaver in one schema, and ours beside them. The quoted forms go into SQL as they are. */
export interface GraphTableNames {
  /** Names the tables in jobs and messages. */
  readonly label: string;
  readonly quotedSchema: string;
  readonly checkpoints: string;
  readonly blobs: string;
  readonly writes: string;
  /** Where PostgresSaver notes which of its own changes were applied. */
  readonly officialLedger: string;
  readonly ledger: string;
  readonly tombstones: string;
  /** Temporary; it lives in no schema of ours. */
  readonly staging: string;
}

export const DEFAULT_GRAPH_SCHEMA = 'langgraph';

/** @throws InvalidConfigError naming the option */
export function graphTableNames(schema = DEFAULT_GRAPH_SCHEMA, option = 'schema'): GraphTableNames {
  checkSchema(option, schema);
  const quotedSchema = quoted(schema);
  return Object.freeze({
    label: labelOf(schema, 'checkpoints'),
    quotedSchema,
    checkpoints: `${quotedSchema}.checkpoints`,
    blobs: `${quotedSchema}.checkpoint_blobs`,
    writes: `${quotedSchema}.checkpoint_writes`,
    officialLedger: `${quotedSchema}.checkpoint_migrations`,
    ledger: `${quotedSchema}.checkpoint_queue_migrations`,
    tombstones: `${quotedSchema}.checkpoint_tombstones`,
    // No table can be called so.
    staging: '"langgraph staging"',
  });
}

/** All SQL by which batches and deletes of threads write these tables. */
export interface GraphTableSql extends TombstoneSql {
  readonly copy: string;
  /** Stores what is staged and under no tombstone, by the rules of each table. Returns how many sequences have stored anything. */
  readonly merge: string;
  /** Removes what is stored under the keys that are staged. */
  readonly removeStaged: string;
  /** How many staged sequences are under a tombstone. */
  readonly countTombstoned: string;
  /** Two statements: takes the lock of a batch, then removes what came under a tombstone meanwhile, and counts the sequences. */
  readonly lastLook: string;
  readonly removeBuried: Readonly<{ thread: string }>;
  /** $1 thread, $2 sequence: whether a tombstone covers it. */
  readonly isBuried: string;
  /** $1 threads, $2 a sequence: one by this server's clock, above it and above the tombstones of the threads. */
  readonly sequenceNow: string;
}

/** What a staged row is for. */
export const ROW_KIND = Object.freeze({ checkpoint: 0, blob: 1, write: 2 });

/** The staging columns in the order in which COPY sends them; a record's rows hold all but the last. */
export const GRAPH_STAGING_COLUMNS = [
  'kind INTEGER',
  'thread_id TEXT',
  'checkpoint_ns TEXT',
  'checkpoint_id TEXT',
  'parent_checkpoint_id TEXT',
  'checkpoint JSONB',
  'metadata JSONB',
  'channel TEXT',
  'version TEXT',
  'type TEXT',
  'blob BYTEA',
  'task_id TEXT',
  'idx INTEGER',
  'task_path TEXT',
  'write_seq BIGINT',
];

const CHECKPOINT_KEY = ['thread_id', 'checkpoint_ns', 'checkpoint_id'];
const BLOB_KEY = ['thread_id', 'checkpoint_ns', 'channel', 'version'];
const WRITE_KEY = ['thread_id', 'checkpoint_ns', 'checkpoint_id', 'task_id', 'idx'];

export function graphTableSql(names: GraphTableNames, { gate, guard } = SAFEGUARDS): GraphTableSql {
  const { checkpoints, blobs, writes, tombstones, staging } = names;
  const covered = (row: string) =>
    `EXISTS (SELECT FROM ${tombstones} d WHERE d.scope = 'thread' AND d.key = ${row}.thread_id AND d.fence >= ${row}.write_seq)`;
  const gone = goneRow(names);
  const newestOf = (table: string) =>
    `(SELECT t.write_seq FROM ${table} t WHERE t.thread_id = r.key ORDER BY t.write_seq DESC LIMIT 1)`;
  const { openBatch, ...ofTombstones } = tombstoneSql({
    tombstones,
    label: `langgraph ${names.quotedSchema}`,
    newest: { thread: `SELECT greatest(${[checkpoints, blobs, writes].map(newestOf).join(', ')})` },
  });
  // Sorted by key, so that concurrent batches take their row locks in one order. Of what is staged twice one row is left.
  const staged = (kind: number, key: string[], columns: string, first: string) => {
    const ordered = key.map((column) => (column === 'idx' ? column : `${column} COLLATE "C"`)).join(', ');
    return `SELECT DISTINCT ON (${ordered}) ${columns} FROM pg_temp.${staging} s
       WHERE kind = ${kind} ${guard ? `AND NOT ${covered('s')}` : ''} ORDER BY ${ordered}, ${first}`;
  };
  const inserted = (table: string, kind: number, key: string[], others: string[], first: string) => {
    const columns = [...key, ...others, 'write_seq'].join(', ');
    return `INSERT INTO ${table} AS t (${columns}) ${staged(kind, key, columns, first)}
      ON CONFLICT (${key.join(', ')}) DO UPDATE
        SET ${[...others, 'write_seq'].map((column) => `${column} = excluded.${column}`).join(', ')}`;
  };
  const removed = (name: string, table: string, kind: number, key: string[]) => `
    ${name} AS (DELETE FROM ${table} t USING pg_temp.${staging} s
      WHERE EXISTS (SELECT FROM ${tombstones} d WHERE ${UNSEEN}) AND s.kind = ${kind}
        AND ${[...key, 'write_seq'].map((column) => `t.${column} = s.${column}`).join(' AND ')}
        AND t.xmin = pg_current_xact_id()::xid
        AND EXISTS (SELECT FROM ${tombstones} d
          WHERE d.scope = 'thread' AND d.key = s.thread_id AND d.fence >= s.write_seq AND ${UNSEEN})
      RETURNING t.write_seq)`;
  // The threads lead to an index, whatever the planner believes of the staging table.
  const cleared = (name: string, table: string, kind: number, key: string[]) => `
    ${name} AS (DELETE FROM ${table} t WHERE t.thread_id = ANY (ARRAY(SELECT thread_id FROM pg_temp.${staging}))
      AND EXISTS (SELECT FROM pg_temp.${staging} s WHERE s.kind = ${kind}
        AND ${key.map((column) => `t.${column} = s.${column}`).join(' AND ')}))`;
  const countSequences = `SELECT count(DISTINCT write_seq) AS count FROM (
      SELECT write_seq FROM b UNION ALL SELECT write_seq FROM c UNION ALL SELECT write_seq FROM w) AS of_records`;
  const { checkpoint, blob, write } = ROW_KIND;

  return {
    ...ofTombstones,
    openBatch: `
      ${openBatch};
      ${stagingTable(staging, GRAPH_STAGING_COLUMNS, ['checkpoint', 'metadata', 'blob'])}`,
    copy: `COPY pg_temp.${staging} FROM STDIN (FORMAT binary)`,
    // A blob is the value of a version: whoever was first has it. Of the writes of a task the first run counts, as its results
    // may have been used; its marks of error, interrupt and resume, of negative index, are replaced by newer ones.
    merge: `
      WITH b AS (${inserted(blobs, blob, BLOB_KEY, ['type', 'blob'], 'write_seq')}
          WHERE ${gone} RETURNING t.write_seq),
        c AS (${inserted(checkpoints, checkpoint, CHECKPOINT_KEY, ['parent_checkpoint_id', 'checkpoint', 'metadata'], 'write_seq DESC')}
          WHERE t.write_seq < excluded.write_seq OR ${gone} RETURNING t.write_seq),
        w AS (${inserted(writes, write, WRITE_KEY, ['channel', 'type', 'blob', 'task_path'], 'CASE WHEN idx < 0 THEN -write_seq ELSE write_seq END')}
          WHERE CASE WHEN t.idx < 0 THEN t.write_seq < excluded.write_seq ELSE excluded.write_seq < t.write_seq END OR ${gone}
          RETURNING t.write_seq)
      ${countSequences}`,
    removeStaged: `
      WITH ${cleared('b', blobs, blob, BLOB_KEY)}, ${cleared('c', checkpoints, checkpoint, CHECKPOINT_KEY)},
        ${cleared('w', writes, write, WRITE_KEY)}
      SELECT`,
    countTombstoned: `
      SELECT count(DISTINCT write_seq) AS count FROM pg_temp.${staging} s WHERE ${covered('s')}`,
    lastLook: gate
      ? `
      ${ofTombstones.lockBatch};
      WITH ${removed('b', blobs, blob, BLOB_KEY)}, ${removed('c', checkpoints, checkpoint, CHECKPOINT_KEY)},
        ${removed('w', writes, write, WRITE_KEY)}
      ${countSequences}`
      : 'SELECT; SELECT 0 AS count',
    removeBuried: {
      thread: `
      WITH buried AS MATERIALIZED (
          SELECT b.key, b.fence FROM unnest($1::text[], $2::bigint[]) AS b (key, fence)
            JOIN ${tombstones} d ON d.scope = 'thread' AND d.key = b.key
           ORDER BY d.key COLLATE "C" FOR UPDATE OF d),
        ${[blobs, checkpoints, writes]
          .map(
            (table, index) => `
        removed_${index} AS (
          DELETE FROM ${table} t USING buried b WHERE t.thread_id = b.key AND t.write_seq <= b.fence)`,
          )
          .join(',')}
      UPDATE ${tombstones} d SET settled = d.settled OR d.fence = b.fence FROM buried b
       WHERE d.scope = 'thread' AND d.key = b.key`,
    },
    isBuried: `
      SELECT EXISTS (SELECT FROM ${tombstones} d WHERE d.scope = 'thread' AND d.key = $1 AND d.fence >= $2::bigint) AS buried`,
    sequenceNow: `
      SELECT greatest(${CLOCK}, $2::bigint + 1,
        (SELECT max(fence) + 1 FROM ${tombstones} d WHERE d.scope = 'thread' AND d.key = ANY ($1::text[]))) AS sequence`,
  };
}

/** Of a row `t`: whether a delete has left its tombstone and is about to remove it. Until then it counts as gone. */
export function goneRow({ tombstones }: GraphTableNames): string {
  return `EXISTS (SELECT FROM ${tombstones} d
    WHERE NOT d.settled AND d.scope = 'thread' AND d.key = t.thread_id AND d.fence >= t.write_seq)`;
}
