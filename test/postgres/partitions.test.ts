import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type CheckpointInput, serializeCheckpoint } from '../../src/checkpoint.js';
import { PostgresCheckpointStore } from '../../src/index.js';
import { Database } from '../../src/postgres/database.js';
import { type TableNames, tableNames } from '../../src/postgres/identifiers.js';
import { dropPartitions, makePartitions } from '../../src/postgres/partitions.js';
import { migrate } from '../../src/postgres/schema.js';
import { CheckpointTable } from '../../src/store/checkpoint-table.js';
import { BatchWriter } from '../../src/writer/batch-writer.js';
import { CheckpointRow } from '../../src/writer/checkpoint-row.js';
import { CheckpointSink } from '../../src/writer/checkpoint-sink.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { type Place, startWriter, statementsOf, testPlace, testStore } from '../store/place.js';

const NOW = new Date('2026-03-15T12:00:00Z');
const [JANUARY, FEBRUARY, MARCH] = [0, 1, 2].map((month) => new Date(Date.UTC(2026, month, 10)));
const LONG_AGO = new Date('1999-12-31T23:59:59Z');

let place: Place;
let database: Database;
let names: TableNames;
let sink: CheckpointSink;
let table: CheckpointTable;
beforeEach(async () => {
  place = await testPlace();
  database = new Database({ connectionString: place.postgres, max: 8 });
  onTestFinished(() => database.close());
  names = tableNames({ schema: place.schema, partitionBy: 'month' });
  sink = new CheckpointSink(names);
  table = new CheckpointTable(database, names);
  await migrate(database, names);
  await makePartitions(database, names, { from: JANUARY });
});

const query = async (text: string, values: unknown[] = []) => (await place.pool.query(text, values)).rows;

/** Names of all partitions, without that of the table. */
async function partitions(): Promise<string[]> {
  const rows = await query(
    `SELECT relname AS name FROM pg_inherits JOIN pg_class ON oid = inhrelid
      WHERE inhparent = $1::regclass ORDER BY relname`,
    [`${place.schema}.checkpoints`],
  );
  return rows.map(({ name }) => name.replace('checkpoints_', ''));
}

/** Where the rows of an id are, and with which state. */
async function rowsOf(id: string): Promise<string[]> {
  const rows = await query(
    `SELECT tableoid::regclass::text AS partition, state FROM ${place.schema}.checkpoints WHERE id = $1`,
    [id],
  );
  return rows.map(({ partition, state }) => `${partition.replace(/^.*checkpoints_/, '')}: ${state}`);
}

/** Ids that have no row, rows that have no id, or another one than they should. */
async function outOfLine(): Promise<unknown[]> {
  const columns = 'id, execution_id, timestamp, version, write_seq';
  return query(`
    (SELECT ${columns} FROM ${place.schema}.checkpoints EXCEPT ALL SELECT ${columns} FROM ${place.schema}.checkpoints_ids)
    UNION ALL
    (SELECT ${columns} FROM ${place.schema}.checkpoints_ids EXCEPT ALL SELECT ${columns} FROM ${place.schema}.checkpoints)`);
}

/** Delivers saves in one batch, as a worker does, with these sequences. */
function deliver(...saves: Array<[sequence: number, checkpoint: CheckpointInput]>) {
  const records = saves.map(([sequence, checkpoint]) => ({
    sequence,
    body: new CheckpointRow(serializeCheckpoint(checkpoint)).toBuffer(),
  }));
  return new BatchWriter(database).write([{ sink, records }]);
}

function plainStore(options: Partial<ConstructorParameters<typeof PostgresCheckpointStore>[0]> = {}) {
  const { postgres, schema } = place;
  const store = new PostgresCheckpointStore({ postgres, schema, ...options });
  onTestFinished(() => store.close());
  return store;
}

describe('a checkpoint that is saved again with another timestamp', () => {
  const id = 'moving';
  const at = (timestamp: Date | undefined, version: number, state: string) =>
    newCheckpoint({ id, executionId: 'run', timestamp, version, state });

  it('moves to the other partition, and an older save that is delivered later changes nothing', async () => {
    await deliver([1, at(JANUARY, 1, 'old')]);
    expect(await rowsOf(id)).toEqual(['p202601: old']);
    expect(await deliver([2, at(MARCH, 1, 'new')])).toMatchObject({ committed: 1 });
    expect(await rowsOf(id)).toEqual(['p202603: new']);
    expect(await deliver([1, at(JANUARY, 1, 'old')])).toMatchObject({ committed: 0, superseded: 1 });
    expect(await rowsOf(id)).toEqual(['p202603: new']);
    expect(await outOfLine()).toEqual([]);
  });

  it('moves back in time too, and within a partition', async () => {
    await deliver([1, at(MARCH, 1, 'first')]);
    await deliver([2, at(LONG_AGO, 2, 'second')]);
    expect(await rowsOf(id)).toEqual(['default: second']);
    await deliver([3, at(new Date(LONG_AGO.getTime() + 1), 2, 'third')]);
    expect(await rowsOf(id)).toEqual(['default: third']);
    expect(await outOfLine()).toEqual([]);
  });

  it('is there once when batches with it are concurrent, in whatever order they commit', async () => {
    for (let round = 0; round < 20; round++) {
      const key = `${id} ${round}`;
      const saves = [JANUARY, FEBRUARY, MARCH, LONG_AGO, JANUARY, MARCH].map(
        (timestamp, index) => [index + 1, { ...at(timestamp, 1, `${index + 1}`), id: key }] as const,
      );
      await Promise.all(saves.map(([sequence, checkpoint]) => deliver([sequence, checkpoint])));
      expect(await rowsOf(key)).toEqual(['p202603: 6']);
    }
    expect(await outOfLine()).toEqual([]);
  });

  it('is there once when its first save waits for another first save that commits', async () => {
    const client = await place.pool.connect();
    onTestFinished(() => client.release());
    const insert = `INSERT INTO ${place.schema}.checkpoints VALUES ($1, 'run', '', '"theirs"', NULL, $2, 1)`;
    await client.query('BEGIN');
    await client.query(insert, [id, JANUARY]);
    const delivered = deliver([1, at(MARCH, 1, 'ours')]);
    await waitsForLock();
    await client.query('COMMIT');
    expect(await delivered).toMatchObject({ committed: 1 });
    expect(await rowsOf(id)).toEqual(['p202603: ours']);
  });

  it('moves with direct writes as well', async () => {
    const store = plainStore();
    await store.save(at(JANUARY, 1, 'first'));
    await store.save(at(FEBRUARY, 1, 'second'));
    expect(await rowsOf(id)).toEqual(['p202602: second']);
    await store.save(at(MARCH, 2, 'third'), { expectedVersion: 1 });
    expect(await rowsOf(id)).toEqual(['p202603: third']);
    await store.delete(id);
    expect(await rowsOf(id)).toEqual([]);
    await store.save(at(JANUARY, 1, 'anew'), { expectedVersion: 0 });
    expect(await rowsOf(id)).toEqual(['p202601: anew']);
    expect(await outOfLine()).toEqual([]);
  });

  it('is deleted where it is, and what was saved before stays deleted', async () => {
    await deliver([1, at(JANUARY, 1, 'old')], [3, { ...at(FEBRUARY, 1, 'other'), id: 'other' }]);
    await deliver([2, at(MARCH, 1, 'new')]);
    await table.remove('execution', 'run', 5);
    expect(await deliver([1, at(JANUARY, 1, 'old')])).toMatchObject({ deleted: 1 });
    expect(await deliver([2, at(MARCH, 1, 'new')])).toMatchObject({ deleted: 1 });
    expect(await query(`SELECT id FROM ${place.schema}.checkpoints`)).toEqual([]);
    expect(await outOfLine()).toEqual([]);
  });
});

async function waitsForLock(): Promise<void> {
  const waiting = `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%${place.schema}%'`;
  while ((await query(waiting)).length === 0) await setImmediate();
}

describe('partitions', () => {
  it('are made ahead, also by six at once, and cover each month', async () => {
    const other = await testPlace();
    const places = tableNames({ schema: other.schema, partitionBy: 'month' });
    await other.pool.query(`DROP SCHEMA ${other.schema} CASCADE`);
    await Promise.all(Array.from({ length: 6 }, () => migrate(database, places)));
    place = other;
    const month = new Date().toISOString().slice(0, 7).replace('-', '');
    expect(await partitions()).toHaveLength(5);
    expect(await partitions()).toEqual(expect.arrayContaining(['default', `p${month}`]));
  });

  it('of days are as many as two weeks need, and another period is refused', async () => {
    const daily = tableNames({ schema: place.schema, table: 'daily', partitionBy: 'day' });
    await migrate(database, daily);
    const ahead = new Date(Date.now() + 14 * 86_400_000).toISOString().slice(0, 10).replaceAll('-', '');
    const [row] = await query('SELECT to_regclass($1) AS found', [`${place.schema}.daily_p${ahead}`]);
    expect(row.found).not.toBeNull();
    await expect(migrate(database, { ...daily, partitionBy: 'month' })).rejects.toMatchObject({
      code: 'SCHEMA_MISMATCH',
      message: expect.stringContaining('is partitioned by day, not by month'),
    });
  });

  it('are made by a writer while it works, and rows that came too early are moved there', async () => {
    const later = new Date(Date.now() + 150 * 86_400_000);
    const [early, earlier] = [newCheckpoint({ id: 'early', timestamp: later, state: 1 }), LONG_AGO];
    await deliver([1, early], [2, newCheckpoint({ id: 'old', timestamp: earlier, state: 2 })]);
    expect(await rowsOf('early')).toEqual(['default: 1']);
    await makePartitions(database, names, { now: later });
    const month = later.toISOString().slice(0, 7).replace('-', '');
    expect(await rowsOf('early')).toEqual([`p${month}: 1`]);
    expect(await rowsOf('old')).toEqual(['default: 2']);
    expect(await outOfLine()).toEqual([]);
    await deliver([3, { ...early, state: 3 }]);
    expect(await rowsOf('early')).toEqual([`p${month}: 3`]);
  });

  it('that are missing are made by the maintenance of a writer', async () => {
    const month = new Date().toISOString().slice(0, 7).replace('-', '');
    await query(`DROP TABLE ${place.schema}.checkpoints_p${month}`);
    await sink.maintain(database, { tombstoneDays: 30, oldestSequence: undefined });
    expect(await partitions()).toContain(`p${month}`);
  });

  it('are made while batches commit, and no record is refused', async () => {
    const writing = { on: true };
    let sequence = 0;
    const write = async () => {
      while (writing.on) {
        const saves = Array.from({ length: 20 }, (_, index) => {
          const timestamp = new Date(Date.UTC(2020 + (index % 3), index % 12, 5));
          return [++sequence, newCheckpoint({ timestamp })] as [number, CheckpointInput];
        });
        await deliver(...saves);
      }
    };
    const writers = [write(), write(), write()];
    await makePartitions(database, names, { from: new Date('2022-01-01') });
    await makePartitions(database, names, { from: new Date('2020-01-01') });
    writing.on = false;
    await Promise.all(writers);
    expect(await query(`SELECT count(*)::int AS n FROM ${place.schema}.checkpoints`)).toEqual([
      { n: sequence },
    ]);
    expect(await query(`SELECT count(*)::int AS n FROM ${place.schema}.checkpoints_default`)).toEqual([
      { n: 0 },
    ]);
    expect(await outOfLine()).toEqual([]);
  });

  it('of a table that somebody else partitioned are his business', async () => {
    await query(`COMMENT ON TABLE ${place.schema}.checkpoints IS 'ours'`);
    await query(`DROP TABLE ${place.schema}.checkpoints_p202602`);
    expect(await makePartitions(database, names, { from: JANUARY })).toEqual([]);
  });
});

describe('a table that is not partitioned', () => {
  it('is refused where a partitioned one is asked for, and what to do is said', async () => {
    const plain = tableNames({ schema: place.schema, table: 'plain' });
    await migrate(database, plain);
    await expect(migrate(database, { ...plain, partitionBy: 'month' })).rejects.toMatchObject({
      code: 'SCHEMA_MISMATCH',
      message: expect.stringContaining('create another one and copy the checkpoints'),
    });
  });

  it('is found again where it has taken the place of a partitioned one, and the other way round', async () => {
    const store = plainStore();
    await startWriter(place);
    const queued = testStore(place);
    const id = 'a';
    await store.save(newCheckpoint({ id }));
    const replace = async (by: TableNames) => {
      const all = ['', '_ids', '_tombstones', '_migrations'].map(
        (end) => `${place.schema}.checkpoints${end}`,
      );
      await query(`DROP TABLE IF EXISTS ${all}`);
      await migrate(database, by);
    };
    await replace(tableNames({ schema: place.schema }));
    await store.save(newCheckpoint({ id }));
    await queued.save(newCheckpoint({ id, version: 2 }), { ack: 'committed' });
    await replace(names);
    await store.save(newCheckpoint({ id }));
    await queued.save(newCheckpoint({ id, version: 2 }), { ack: 'committed' });
    expect((await store.load(id)).version).toBe(2);
    expect(await outOfLine()).toEqual([]);
  });
});

describe('reads', () => {
  it('of an id touch one partition', async () => {
    await deliver([1, newCheckpoint({ id: 'a', timestamp: FEBRUARY })]);
    const { load } = await statementsOf(place);
    const plan = await query(`EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) ${load.replaceAll('$1', `'a'`)}`);
    const text = plan.map((row) => row['QUERY PLAN']).join('\n');
    const touched = text
      .split('\n')
      .filter((line) => /Scan .*checkpoints_(p|default)/.test(line) && !/never executed/.test(line));
    expect(touched.join()).toMatch(/p202602/);
    expect(touched).toHaveLength(1);
  });

  it('of an execution go over all partitions, in the order of a list', async () => {
    const times = [MARCH, LONG_AGO, FEBRUARY, JANUARY] as Date[];
    await deliver(
      ...times.map((timestamp, index): [number, CheckpointInput] => [
        index + 1,
        newCheckpoint({ id: `${index}`, executionId: 'run', timestamp }),
      ]),
    );
    const store = plainStore();
    expect((await store.list('run')).map(({ id }) => id)).toEqual(['1', '3', '2', '0']);
    expect((await store.latest('run'))?.id).toBe('0');
    expect((await store.list('run', { after: '1', before: '0' })).map(({ id }) => id)).toEqual(['3', '2']);
    expect((await store.list('run', { after: JANUARY, limit: 1 })).map(({ id }) => id)).toEqual(['2']);
  });
});

describe('other programs', () => {
  it('may delete, insert and change checkpoints of the table, and the ids follow', async () => {
    await deliver([1, newCheckpoint({ id: 'a', timestamp: FEBRUARY })], [2, newCheckpoint({ id: 'b' })]);
    await query(`DELETE FROM ${place.schema}.checkpoints WHERE id = 'a'`);
    await query(`UPDATE ${place.schema}.checkpoints SET version = 7 WHERE id = 'b'`);
    const insert = `INSERT INTO ${place.schema}.checkpoints VALUES ($1, 'go', '', '{}', NULL, now(), 5)`;
    await query(insert, ['c']);
    expect(await outOfLine()).toEqual([]);
    expect(await deliver([3, newCheckpoint({ id: 'b', version: 6 })])).toMatchObject({ superseded: 1 });
    expect(await deliver([4, newCheckpoint({ id: 'c', version: 4 })])).toMatchObject({ superseded: 1 });
    expect(await deliver([1, newCheckpoint({ id: 'a', timestamp: JANUARY })])).toMatchObject({
      committed: 1,
    });
    await expect(query(insert, ['c'])).rejects.toMatchObject({ code: '23505' });
  });
});

describe('dropPartitions', () => {
  it('removes whole partitions with what they hold, and nothing else', async () => {
    await deliver(
      ...[JANUARY, FEBRUARY, MARCH, LONG_AGO].map((timestamp, index): [number, CheckpointInput] => [
        index + 1,
        newCheckpoint({ id: `${index}`, timestamp, executionId: 'run', version: 3, state: index }),
      ]),
    );
    const march = new Date('2026-03-01T00:00:00Z');
    expect(await dropPartitions(database, names, march)).toEqual({
      partitions: ['checkpoints_p202601', 'checkpoints_p202602'],
      rows: 2,
    });
    expect((await plainStore().list('run')).map(({ id }) => id)).toEqual(['3', '2']);
    expect(await outOfLine()).toEqual([]);
    expect(await query('SELECT to_regclass($1) AS name', [`${place.schema}.checkpoints_p202601`])).toEqual([
      { name: null },
    ]);
    // Older in every respect than what is gone.
    await deliver([1, newCheckpoint({ id: '0', timestamp: JANUARY, version: 1, state: 'again' })]);
    expect(await rowsOf('0')).toEqual(['default: again']);
  });

  it('drops no partition of now or later, nor any of a plain table', async () => {
    await dropPartitions(database, names, new Date('2999-01-01'));
    const month = new Date().toISOString().slice(0, 7).replace('-', '');
    const left = await partitions();
    expect(left).toHaveLength(5);
    expect(left).toEqual(expect.arrayContaining(['default', `p${month}`]));
    const plain = tableNames({ schema: place.schema, table: 'plain' });
    await migrate(database, plain);
    expect(await dropPartitions(database, plain, NOW)).toEqual({ partitions: [], rows: 0 });
  });

  it('under load loses nothing that is newer', async () => {
    const ids = Array.from({ length: 200 }, (_, index) => `${index}`);
    await deliver(
      ...ids.map((id, index): [number, CheckpointInput] => [
        index + 1,
        newCheckpoint({ id, timestamp: JANUARY, state: 'old' }),
      ]),
    );
    const again = ids.filter((_, index) => index % 2);
    let sequence = 1000;
    const saving = Promise.all(
      again.map((id, index) =>
        deliver([++sequence, newCheckpoint({ id, timestamp: index % 4 ? JANUARY : MARCH, state: 'new' })]),
      ),
    );
    await dropPartitions(database, names, NOW);
    await saving;
    // Those that moved before the drop are gone with it, where they stayed in its partition.
    const rows = await query(`SELECT id, state FROM ${place.schema}.checkpoints ORDER BY id::int`);
    const moved = again.filter((_, index) => index % 4 === 0);
    expect(rows.map(({ id }) => id)).toEqual(expect.arrayContaining(moved));
    expect(rows.every(({ state }) => state === 'new')).toBe(true);
    expect(await outOfLine()).toEqual([]);
  });

  it('that was broken off is brought to its end by a writer, and spares what was saved again', async () => {
    await deliver(
      [1, newCheckpoint({ id: 'a', timestamp: JANUARY })],
      [2, newCheckpoint({ id: 'b', timestamp: JANUARY })],
    );
    await query(`ALTER TABLE ${place.schema}.checkpoints DETACH PARTITION ${place.schema}.checkpoints_p202601;
      COMMENT ON TABLE ${place.schema}.checkpoints_p202601 IS 'checkpoint-queue: dropped from ${place.schema}.checkpoints'`);
    await deliver([3, newCheckpoint({ id: 'b', timestamp: JANUARY, state: 'newer' })]);
    await sink.maintain(database, { tombstoneDays: 30, oldestSequence: undefined });
    expect(await query(`SELECT id FROM ${place.schema}.checkpoints_ids`)).toEqual([{ id: 'b' }]);
    expect(await rowsOf('b')).toEqual(['default: newer']);
    expect(await query('SELECT to_regclass($1) AS name', [`${place.schema}.checkpoints_p202601`])).toEqual([
      { name: null },
    ]);
  });

  it('waits for who uses the table', async () => {
    const client = await place.pool.connect();
    onTestFinished(() => client.release());
    await client.query(`BEGIN; SELECT FROM ${place.schema}.checkpoints`);
    const dropping = dropPartitions(database, names, NOW);
    await waitsForLock();
    await client.query('COMMIT');
    expect((await dropping).partitions).toHaveLength(2);
  });
});
