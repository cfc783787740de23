import { describe, expect, it, onTestFinished } from 'vitest';
import type { CheckpointInput } from '../../src/checkpoint.js';
import { tableNames } from '../../src/postgres/identifiers.js';
import { dropPartitions } from '../../src/postgres/partitions.js';
import { migrate } from '../../src/postgres/schema.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { SAME_CLOCK } from '../writer/records.js';
import { FEBRUARY, JANUARY, LONG_AGO, MARCH, NOW, partitionedPlace } from './partitioned-place.js';

const here = partitionedPlace();
const { query, partitions, rowsOf, outOfLine, deliver, plainStore, waitsForLock } = here;

describe('dropPartitions', () => {
  it('removes whole partitions with what they hold, and nothing else', async () => {
    await deliver(
      ...[JANUARY, FEBRUARY, MARCH, LONG_AGO].map((timestamp, index): [number, CheckpointInput] => [
        index + 1,
        newCheckpoint({ id: `${index}`, timestamp, executionId: 'run', version: 3, state: index }),
      ]),
    );
    const march = new Date('2026-03-01T00:00:00Z');
    expect(await dropPartitions(here.database, here.names, march)).toEqual({
      partitions: ['checkpoints_p202601', 'checkpoints_p202602'],
      rows: 2,
    });
    expect((await plainStore().list('run')).map(({ id }) => id)).toEqual(['3', '2']);
    expect(await outOfLine()).toEqual([]);
    expect(
      await query('SELECT to_regclass($1) AS name', [`${here.place.schema}.checkpoints_p202601`]),
    ).toEqual([{ name: null }]);
    // Older in every respect than what is gone.
    await deliver([1, newCheckpoint({ id: '0', timestamp: JANUARY, version: 1, state: 'again' })]);
    expect(await rowsOf('0')).toEqual(['default: again']);
  });

  it('drops no partition of now or later, nor any of a plain table', async () => {
    await dropPartitions(here.database, here.names, new Date('2999-01-01'));
    const month = new Date().toISOString().slice(0, 7).replace('-', '');
    const left = await partitions();
    expect(left).toHaveLength(5);
    expect(left).toEqual(expect.arrayContaining(['default', `p${month}`]));
    const plain = tableNames({ schema: here.place.schema, table: 'plain' });
    await migrate(here.database, plain);
    expect(await dropPartitions(here.database, plain, NOW)).toEqual({ partitions: [], rows: 0 });
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
    await dropPartitions(here.database, here.names, NOW);
    await saving;
    // Those that moved before the drop are gone with it, where they stayed in its partition.
    const rows = await query(`SELECT id, state FROM ${here.place.schema}.checkpoints ORDER BY id::int`);
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
    await query(`ALTER TABLE ${here.place.schema}.checkpoints DETACH PARTITION ${here.place.schema}.checkpoints_p202601;
      COMMENT ON TABLE ${here.place.schema}.checkpoints_p202601 IS 'checkpoint-queue: dropped from ${here.place.schema}.checkpoints'`);
    await deliver([3, newCheckpoint({ id: 'b', timestamp: JANUARY, state: 'newer' })]);
    await here.sink.maintain(here.database, {
      tombstoneDays: 30,
      oldestSequence: undefined,
      clocks: SAME_CLOCK,
    });
    expect(await query(`SELECT id FROM ${here.place.schema}.checkpoints_ids`)).toEqual([{ id: 'b' }]);
    expect(await rowsOf('b')).toEqual(['default: newer']);
    expect(
      await query('SELECT to_regclass($1) AS name', [`${here.place.schema}.checkpoints_p202601`]),
    ).toEqual([{ name: null }]);
  });

  it('waits for who uses the table', async () => {
    const client = await here.place.pool.connect();
    onTestFinished(() => client.release());
    await client.query(`BEGIN; SELECT FROM ${here.place.schema}.checkpoints`);
    const dropping = dropPartitions(here.database, here.names, NOW);
    await waitsForLock();
    await client.query('COMMIT');
    expect((await dropping).partitions).toHaveLength(2);
  });
});
