import { expect, it, onTestFinished } from 'vitest';
import { PostgresCheckpointStore } from '../../src/index.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { type Place, testPlace } from '../store/place.js';
import { diagnosis } from './diagnosis.js';

async function partitioned(
  partitionBy: 'month' | 'day',
): Promise<{ place: Place; store: PostgresCheckpointStore }> {
  const place = await testPlace();
  const { postgres, schema } = place;
  await place.pool.query(`DROP TABLE IF EXISTS ${schema}.checkpoints CASCADE`);
  const store = new PostgresCheckpointStore({ postgres, schema, partitionBy });
  onTestFinished(() => store.close());
  await store.initSchema();
  return { place, store };
}

it.each(['month', 'day'] as const)(
  'the doctor is content with partitions by %s as they are made',
  async (partitionBy) => {
    const { place, store } = await partitioned(partitionBy);
    await store.save(newCheckpoint());
    const found = await diagnosis(place);
    expect(found['postgres.partitions']).toMatchObject({
      severity: 'ok',
      seen: expect.stringContaining(partitionBy),
    });
    expect(found['postgres.id-index']).toMatchObject({ severity: 'ok', seen: 'no entry without its row' });
  },
);

it('the doctor says nothing of partitions of a plain table', async () => {
  const place = await testPlace();
  const store = new PostgresCheckpointStore({ postgres: place.postgres, schema: place.schema });
  onTestFinished(() => store.close());
  await store.initSchema();
  expect(await diagnosis(place)).not.toHaveProperty(['postgres.partitions']);
});

it('the doctor finds that the default partition is missing, and what it says to do mends it', async () => {
  const { place } = await partitioned('month');
  await place.pool.query(`DROP TABLE ${place.schema}.checkpoints_default`);
  const found = (await diagnosis(place))['postgres.partitions'];
  expect(found).toMatchObject({ severity: 'error', seen: expect.stringContaining('no default partition') });
  await place.pool.query(found?.todo?.split(';')[0] as string);
  expect((await diagnosis(place))['postgres.partitions']).toMatchObject({ severity: 'ok' });
});

it('the doctor names partitions that are missing', async () => {
  const { place, store } = await partitioned('month');
  const month = `checkpoints_p${new Date().toISOString().slice(0, 7).replace('-', '')}`;
  await place.pool.query(`DROP TABLE ${place.schema}.${month}`);
  expect((await diagnosis(place))['postgres.partitions']).toMatchObject({
    severity: 'warning',
    seen: expect.stringContaining(month),
    todo: expect.stringContaining('ckpt init'),
  });
  await store.initSchema();
  expect((await diagnosis(place))['postgres.partitions']).toMatchObject({ severity: 'ok' });
});

it('the doctor counts entries of the id index without a row, and what it says to do removes them and no other', async () => {
  const { place, store } = await partitioned('day');
  await store.saveBatch([newCheckpoint({ id: 'a' }), newCheckpoint({ id: 'b' }), newCheckpoint({ id: 'c' })]);
  await place.pool.query(`TRUNCATE ${place.schema}.checkpoints`);
  await store.save(newCheckpoint({ id: 'a' }));
  const found = (await diagnosis(place))['postgres.id-index'];
  expect(found).toMatchObject({
    severity: 'warning',
    seen: expect.stringMatching(/^2 entries without a row: /),
  });
  await place.pool.query(/DELETE[^;]*/.exec(found?.todo as string)?.[0] as string);
  expect((await diagnosis(place))['postgres.id-index']).toMatchObject({ severity: 'ok' });
  expect((await store.load('a')).id).toBe('a');
});
