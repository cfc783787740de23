import { describe, expect, it, onTestFinished } from 'vitest';
import type { CheckpointInput } from '../../src/checkpoint.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { statementsOf } from '../store/place.js';
import { FEBRUARY, JANUARY, LONG_AGO, MARCH, partitionedPlace } from './partitioned-place.js';

const here = partitionedPlace();
const { query, rowsOf, outOfLine, deliver, plainStore, waitsForLock } = here;

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
    const client = await here.place.pool.connect();
    onTestFinished(() => client.release());
    const insert = `INSERT INTO ${here.place.schema}.checkpoints VALUES ($1, 'run', '', '"theirs"', NULL, $2, 1)`;
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
    await here.table.remove('execution', 'run', 5);
    expect(await deliver([1, at(JANUARY, 1, 'old')])).toMatchObject({ deleted: 1 });
    expect(await deliver([2, at(MARCH, 1, 'new')])).toMatchObject({ deleted: 1 });
    expect(await query(`SELECT id FROM ${here.place.schema}.checkpoints`)).toEqual([]);
    expect(await outOfLine()).toEqual([]);
  });
});

describe('reads', () => {
  it('of an id touch one partition', async () => {
    await deliver([1, newCheckpoint({ id: 'a', timestamp: FEBRUARY })]);
    const { load } = await statementsOf(here.place);
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
    await query(`DELETE FROM ${here.place.schema}.checkpoints WHERE id = 'a'`);
    await query(`UPDATE ${here.place.schema}.checkpoints SET version = 7 WHERE id = 'b'`);
    const insert = `INSERT INTO ${here.place.schema}.checkpoints VALUES ($1, 'go', '', '{}', NULL, now(), 5)`;
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
