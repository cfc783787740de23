import { describe, expect, it, vi } from 'vitest';
import { PostgresCheckpointStore } from '../../src/index.js';
import { type Period, tableNames } from '../../src/postgres/identifiers.js';
import { migrate } from '../../src/postgres/schema.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { startWriter, testStore } from '../store/place.js';
import { FEBRUARY, JANUARY, LONG_AGO, MARCH, partitionedPlace } from './partitioned-place.js';

const here = partitionedPlace();
const { query, partitions, rowsOf, outOfLine, deliver, plainStore } = here;

/** What takes rows away and tells the ids nothing. */
const EMPTIED: Array<[what: string, sql: string]> = [
  ['the table is truncated', 'TRUNCATE $'],
  ['a partition is truncated', 'TRUNCATE $_p202601'],
  ['a partition is dropped', 'DROP TABLE $_p202601'],
  ['a partition is detached', 'ALTER TABLE $ DETACH PARTITION $_p202601'],
  ['its rows are deleted', 'DELETE FROM $'],
  ['rows of a partition are deleted', 'DELETE FROM $_p202601'],
  [
    'its rows are deleted without triggers',
    'SET session_replication_role = replica; DELETE FROM $; RESET ALL',
  ],
];

describe.each(EMPTIED)('when %s', (_, sql) => {
  const empty = () => query(sql.replaceAll('$', `${here.place.schema}.checkpoints`));
  const before = newCheckpoint({ id: 'a', timestamp: JANUARY, version: 5, state: 'before' });

  it('a save of any version is stored', async () => {
    await deliver([10, before]);
    await empty();
    const written = await deliver([20, { ...before, version: 1, state: 'after' }]);
    expect(written).toMatchObject({ committed: 1, superseded: 0 });
    expect((await plainStore().load('a')).state).toBe('after');
    // From now on it decides as ever.
    expect(await deliver([15, { ...before, version: 1, timestamp: MARCH }])).toMatchObject({ superseded: 1 });
    expect(await outOfLine()).toEqual([]);
  });

  it('a direct save is stored, and one that expects nothing or a version finds nothing', async () => {
    await deliver([10, before], [11, { ...before, id: 'b' }], [12, { ...before, id: 'c' }]);
    await empty();
    const store = plainStore();
    const after = { ...before, version: 1, timestamp: FEBRUARY, state: 'after' };
    expect(await (await store.save(after)).committed()).toBe('committed');
    await store.save({ ...after, id: 'b' }, { expectedVersion: 0 });
    await expect(store.save({ ...after, id: 'c', version: 6 }, { expectedVersion: 5 })).rejects.toMatchObject(
      {
        code: 'VERSION_CONFLICT',
        actualVersion: undefined,
      },
    );
    expect(await rowsOf('a')).toEqual(['p202602: after']);
    expect(await rowsOf('b')).toEqual(['p202602: after']);
    expect(await rowsOf('c')).toEqual([]);
  });
});

it('batches that store an id again after TRUNCATE, side by side, leave the newest', async () => {
  const id = 'a';
  for (let round = 1; round <= 5; round++) {
    await deliver([1, newCheckpoint({ id, version: 100, timestamp: JANUARY })]);
    await query(`TRUNCATE ${here.place.schema}.checkpoints`);
    const versions = [1, 2, 3, 4, 5, 6, 7, 8];
    await Promise.all(
      versions.map((version) =>
        deliver([
          10 + version,
          newCheckpoint({ id, version, state: version, timestamp: version % 2 ? JANUARY : MARCH }),
        ]),
      ),
    );
    expect(await rowsOf(id)).toEqual(['p202603: 8']);
    expect(await outOfLine()).toEqual([]);
    await query(`TRUNCATE ${here.place.schema}.checkpoints`);
  }
});

it.each([
  ['they were dropped', 'SELECT'],
  ['an earlier release made the table', 'DELETE FROM $.checkpoints_migrations WHERE version = 4'],
])('a save makes the functions of the table where %s', async (_, also) => {
  const { schema } = here.place;
  const before = newCheckpoint({ id: 'a', timestamp: JANUARY, version: 5 });
  const store = plainStore();
  await store.save(before);
  await query(`DROP FUNCTION ${schema}.checkpoints_stored; ${also.replace('$', schema)}`);
  expect(await (await store.save({ ...before, version: 1 })).committed()).toBe('superseded');
  expect(await outOfLine()).toEqual([]);
});

describe('without a default partition', () => {
  const drop = () => query(`DROP TABLE ${here.place.schema}.checkpoints_default`);

  it('a batch makes it anew, and nothing becomes a dead letter', async () => {
    const writer = await startWriter(here.place);
    const store = testStore(here.place);
    await drop();
    const saves = [MARCH, LONG_AGO, JANUARY].map((timestamp, index) =>
      newCheckpoint({ id: `${index}`, timestamp }),
    );
    const receipts = await store.saveBatch(saves);
    for (const receipt of receipts) expect(await receipt.committed()).toBe('committed');
    expect(await partitions()).toContain('default');
    expect(writer.stats.deadLettered).toBe(0);
  });

  it('a direct save makes it anew', async () => {
    await drop();
    await plainStore().save(newCheckpoint({ id: 'old', timestamp: LONG_AGO, state: 1 }));
    expect(await rowsOf('old')).toEqual(['default: 1']);
  });

  it('one that was detached stays as it is, and another one is made', async () => {
    const { schema } = here.place;
    await deliver([1, newCheckpoint({ id: 'old', timestamp: LONG_AGO, state: 1 })]);
    await query(`ALTER TABLE ${schema}.checkpoints DETACH PARTITION ${schema}.checkpoints_default`);
    await plainStore().save(newCheckpoint({ id: 'old', timestamp: LONG_AGO, state: 2 }));
    expect(await rowsOf('old')).toEqual(['default2: 2']);
    expect(await query(`SELECT state FROM ${schema}.checkpoints_default`)).toEqual([{ state: 1 }]);
    // Which is the one that later partitions are made beside, and changes of the schema applied.
    await query(`DROP TABLE ${schema}.checkpoints_p202602, ${schema}.checkpoints_ids`);
    await migrate(here.database, here.names);
    expect(await rowsOf('old')).toEqual(['default2: 2']);
  });

  it('where nobody may make it, what has a partition commits, and the rest waits and comes when it is there', async () => {
    const { schema } = here.place;
    await query(`COMMENT ON TABLE ${schema}.checkpoints IS 'somebody makes its partitions'`);
    const writer = await startWriter(here.place);
    const store = testStore(here.place);
    await drop();
    const saves = [MARCH, LONG_AGO].map((timestamp, index) => newCheckpoint({ id: `${index}`, timestamp }));
    const [, fitsNot] = await store.saveBatch(saves);
    await vi.waitFor(async () => expect(await rowsOf('0')).toHaveLength(1), 30_000);
    await vi.waitFor(
      async () => expect(await here.place.client.zcard(`${here.place.keys.jobPrefix}delayed`)).toBe(1),
      30_000,
    );
    await query(`CREATE TABLE ${schema}.checkpoints_default PARTITION OF ${schema}.checkpoints DEFAULT`);
    expect(await fitsNot?.committed()).toBe('committed');
    expect(writer.stats.deadLettered).toBe(0);
  });
});

it.each<Period>(['month', 'day'])(
  'a table in partitions by %s goes on after TRUNCATE and without any partition',
  async (partitionBy) => {
    const { postgres, schema, queue } = here.place;
    const table = `by_${partitionBy}`;
    await migrate(here.database, tableNames({ schema, table, partitionBy }));
    const writer = await startWriter(here.place, { table });
    const store = testStore(here.place, { table });
    const plain = new PostgresCheckpointStore({ postgres, schema, table });
    const checkpoint = newCheckpoint({ id: 'a', version: 9, timestamp: new Date() });
    await store.save(checkpoint, { ack: 'committed' });
    await query(`TRUNCATE ${schema}.${table}`);
    expect(await (await store.save({ ...checkpoint, version: 2 })).committed()).toBe('committed');
    const rows = await query(
      `SELECT inhrelid::regclass AS name FROM pg_inherits WHERE inhparent = $1::regclass`,
      [`${schema}.${table}`],
    );
    await query(`DROP TABLE ${rows.map(({ name }) => name)}`);
    expect(await (await store.save({ ...checkpoint, version: 1 })).committed()).toBe('committed');
    expect((await plain.load('a')).version).toBe(1);
    expect(writer.stats.deadLettered).toBe(0);
    expect(await here.place.client.zcard(`bull:${queue}-dead:prioritized`)).toBe(0);
    await plain.close();
  },
);
