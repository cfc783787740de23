import { describe, expect, it } from 'vitest';
import type { CheckpointInput } from '../../src/checkpoint.js';
import { type TableNames, tableNames } from '../../src/postgres/identifiers.js';
import { makePartitions } from '../../src/postgres/partitions.js';
import { migrate } from '../../src/postgres/schema.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { startWriter, testPlace, testStore } from '../store/place.js';
import { SAME_CLOCK } from '../writer/records.js';
import { JANUARY, LONG_AGO, partitionedPlace } from './partitioned-place.js';

const here = partitionedPlace();
const { query, partitions, rowsOf, outOfLine, deliver, plainStore } = here;

describe('partitions', () => {
  it('are made ahead, also by six at once, and cover each month', async () => {
    const other = await testPlace();
    const places = tableNames({ schema: other.schema, partitionBy: 'month' });
    await other.pool.query(`DROP SCHEMA ${other.schema} CASCADE`);
    await Promise.all(Array.from({ length: 6 }, () => migrate(here.database, places)));
    const month = new Date().toISOString().slice(0, 7).replace('-', '');
    expect(await partitions(other.schema)).toHaveLength(5);
    expect(await partitions(other.schema)).toEqual(expect.arrayContaining(['default', `p${month}`]));
  });

  it('of days are as many as two weeks need, and another period is refused', async () => {
    const daily = tableNames({ schema: here.place.schema, table: 'daily', partitionBy: 'day' });
    await migrate(here.database, daily);
    const ahead = new Date(Date.now() + 14 * 86_400_000).toISOString().slice(0, 10).replaceAll('-', '');
    const [row] = await query('SELECT to_regclass($1) AS found', [`${here.place.schema}.daily_p${ahead}`]);
    expect(row.found).not.toBeNull();
    await expect(migrate(here.database, { ...daily, partitionBy: 'month' })).rejects.toMatchObject({
      code: 'SCHEMA_MISMATCH',
      message: expect.stringContaining('is partitioned by day, not by month'),
    });
  });

  it('are made by a writer while it works, and rows that came too early are moved there', async () => {
    const later = new Date(Date.now() + 150 * 86_400_000);
    const [early, earlier] = [newCheckpoint({ id: 'early', timestamp: later, state: 1 }), LONG_AGO];
    await deliver([1, early], [2, newCheckpoint({ id: 'old', timestamp: earlier, state: 2 })]);
    expect(await rowsOf('early')).toEqual(['default: 1']);
    await makePartitions(here.database, here.names, { now: later });
    const month = later.toISOString().slice(0, 7).replace('-', '');
    expect(await rowsOf('early')).toEqual([`p${month}: 1`]);
    expect(await rowsOf('old')).toEqual(['default: 2']);
    expect(await outOfLine()).toEqual([]);
    await deliver([3, { ...early, state: 3 }]);
    expect(await rowsOf('early')).toEqual([`p${month}: 3`]);
  });

  it('that are missing are made by the maintenance of a writer', async () => {
    const month = new Date().toISOString().slice(0, 7).replace('-', '');
    await query(`DROP TABLE ${here.place.schema}.checkpoints_p${month}`);
    await here.sink.maintain(here.database, {
      tombstoneDays: 30,
      oldestSequence: undefined,
      clocks: SAME_CLOCK,
    });
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
    await makePartitions(here.database, here.names, { from: new Date('2022-01-01') });
    await makePartitions(here.database, here.names, { from: new Date('2020-01-01') });
    writing.on = false;
    await Promise.all(writers);
    expect(await query(`SELECT count(*)::int AS n FROM ${here.place.schema}.checkpoints`)).toEqual([
      { n: sequence },
    ]);
    expect(await query(`SELECT count(*)::int AS n FROM ${here.place.schema}.checkpoints_default`)).toEqual([
      { n: 0 },
    ]);
    expect(await outOfLine()).toEqual([]);
  });

  it('of a table that somebody else partitioned are his business', async () => {
    await query(`COMMENT ON TABLE ${here.place.schema}.checkpoints IS 'ours'`);
    await query(`DROP TABLE ${here.place.schema}.checkpoints_p202602`);
    expect(await makePartitions(here.database, here.names, { from: JANUARY })).toEqual([]);
  });
});

describe('a table that is not partitioned', () => {
  it('is refused where a partitioned one is asked for, and what to do is said', async () => {
    const plain = tableNames({ schema: here.place.schema, table: 'plain' });
    await migrate(here.database, plain);
    await expect(migrate(here.database, { ...plain, partitionBy: 'month' })).rejects.toMatchObject({
      code: 'SCHEMA_MISMATCH',
      message: expect.stringContaining('create another one and copy the checkpoints'),
    });
  });

  it('is found again where it has taken the place of a partitioned one, and the other way round', async () => {
    const store = plainStore();
    await startWriter(here.place);
    const queued = testStore(here.place);
    const id = 'a';
    await store.save(newCheckpoint({ id }));
    const replace = async (by: TableNames) => {
      const all = ['', '_ids', '_tombstones', '_migrations'].map(
        (end) => `${here.place.schema}.checkpoints${end}`,
      );
      await query(`DROP TABLE IF EXISTS ${all}`);
      await migrate(here.database, by);
    };
    await replace(tableNames({ schema: here.place.schema }));
    await store.save(newCheckpoint({ id }));
    await queued.save(newCheckpoint({ id, version: 2 }), { ack: 'committed' });
    await replace(here.names);
    await store.save(newCheckpoint({ id }));
    await queued.save(newCheckpoint({ id, version: 2 }), { ack: 'committed' });
    expect((await store.load(id)).version).toBe(2);
    expect(await outOfLine()).toEqual([]);
  });
});
