import { setImmediate } from 'node:timers/promises';
import { beforeEach, onTestFinished } from 'vitest';
import { type CheckpointInput, serializeCheckpoint } from '../../src/checkpoint.js';
import { PostgresCheckpointStore } from '../../src/index.js';
import { Database } from '../../src/postgres/database.js';
import { tableNames } from '../../src/postgres/identifiers.js';
import { makePartitions } from '../../src/postgres/partitions.js';
import { migrate } from '../../src/postgres/schema.js';
import { CheckpointTable } from '../../src/store/checkpoint-table.js';
import { BatchWriter } from '../../src/writer/batch-writer.js';
import { CheckpointRow } from '../../src/writer/checkpoint-row.js';
import { CheckpointSink } from '../../src/writer/checkpoint-sink.js';
import { testPlace } from '../store/place.js';

export const NOW = new Date('2026-03-15T12:00:00Z');
export const JANUARY = new Date('2026-01-10T00:00:00Z');
export const FEBRUARY = new Date('2026-02-10T00:00:00Z');
export const MARCH = new Date('2026-03-10T00:00:00Z');
/** Has no partition of its own. */
export const LONG_AGO = new Date('1999-12-31T23:59:59Z');

async function openPartitioned() {
  const place = await testPlace();
  const database = new Database({ connectionString: place.postgres, max: 8 });
  onTestFinished(() => database.close());
  const names = tableNames({ schema: place.schema, partitionBy: 'month' });
  await migrate(database, names);
  await makePartitions(database, names, { from: JANUARY });
  const sink = new CheckpointSink(names);
  return { place, database, names, sink, table: new CheckpointTable(database, names) };
}

/** For each test of a file, a table with partitions by month since January 2026, and what one asks of it. */
export function partitionedPlace() {
  let open: Awaited<ReturnType<typeof openPartitioned>>;
  beforeEach(async () => {
    open = await openPartitioned();
  });

  const query = async (text: string, values: unknown[] = []) =>
    (await open.place.pool.query(text, values)).rows;

  /** Names of all partitions, without that of the table. */
  async function partitions(schema = open.place.schema): Promise<string[]> {
    const rows = await query(
      `SELECT relname AS name FROM pg_inherits JOIN pg_class ON oid = inhrelid
        WHERE inhparent = $1::regclass ORDER BY relname`,
      [`${schema}.checkpoints`],
    );
    return rows.map(({ name }) => name.replace('checkpoints_', ''));
  }

  /** Where the rows of an id are, and with which state. */
  async function rowsOf(id: string): Promise<string[]> {
    const rows = await query(
      `SELECT tableoid::regclass::text AS partition, state FROM ${open.place.schema}.checkpoints WHERE id = $1`,
      [id],
    );
    return rows.map(({ partition, state }) => `${partition.replace(/^.*checkpoints_/, '')}: ${state}`);
  }

  /** Ids that have no row, rows that have no id, or another one than they should. */
  async function outOfLine(): Promise<unknown[]> {
    const columns = 'id, execution_id, timestamp, version, write_seq';
    const [rows, ids] = ['checkpoints', 'checkpoints_ids'].map(
      (table) => `SELECT ${columns} FROM ${open.place.schema}.${table}`,
    );
    return query(`(${rows} EXCEPT ALL ${ids}) UNION ALL (${ids} EXCEPT ALL ${rows})`);
  }

  /** Delivers saves in one batch, as a worker does, with these sequences. */
  function deliver(...saves: Array<[sequence: number, checkpoint: CheckpointInput]>) {
    const records = saves.map(([sequence, checkpoint]) => ({
      sequence,
      body: new CheckpointRow(serializeCheckpoint(checkpoint)).toBuffer(),
    }));
    return new BatchWriter(open.database).write([{ sink: open.sink, records }]);
  }

  function plainStore(): PostgresCheckpointStore {
    const { postgres, schema } = open.place;
    const store = new PostgresCheckpointStore({ postgres, schema });
    onTestFinished(() => store.close());
    return store;
  }

  /** Resolves when somebody waits for a lock on the table. */
  async function waitsForLock(): Promise<void> {
    const waiting = `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%${open.place.schema}%'`;
    while ((await query(waiting)).length === 0) await setImmediate();
  }

  return {
    get place() {
      return open.place;
    },
    get database() {
      return open.database;
    },
    get names() {
      return open.names;
    },
    get sink() {
      return open.sink;
    },
    get table() {
      return open.table;
    },
    ...{ query, partitions, rowsOf, outOfLine, deliver, plainStore, waitsForLock },
  };
}
