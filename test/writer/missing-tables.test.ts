import { describe, expect, it } from 'vitest';
import { PostgresCheckpointStore } from '../../src/index.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { startWriter, testPlace, testStore } from '../store/place.js';

/** What somebody may drop, and what is saved before must not matter. */
const DROPS: Array<[what: string, statement: (schema: string) => string]> = [
  ['the schema', (schema) => `DROP SCHEMA ${schema} CASCADE`],
  [
    'all tables',
    (schema) =>
      `DROP TABLE ${['', '_tombstones', '_migrations'].map((end) => `${schema}.checkpoints${end}`)}`,
  ],
  ['the checkpoint table', (schema) => `DROP TABLE ${schema}.checkpoints`],
  ['the tombstones', (schema) => `DROP TABLE ${schema}.checkpoints_tombstones`],
  ['the record of the migrations', (schema) => `DROP TABLE ${schema}.checkpoints_migrations`],
];

describe.each(DROPS)('where %s is dropped while all is running', (_, drop) => {
  it('the writer creates what is missing and the batch lands', async () => {
    const place = await testPlace();
    const store = testStore(place);
    await startWriter(place);
    await store.save(newCheckpoint(), { ack: 'committed' });
    await place.pool.query(drop(place.schema));
    const checkpoint = newCheckpoint({ state: 'after the drop' });
    await store.save(checkpoint, { ack: 'committed' });
    expect((await store.load(checkpoint.id)).state).toBe('after the drop');
  });

  it('the plain store creates what is missing, to save, to read and to delete', async () => {
    const { postgres, schema, pool } = await testPlace();
    const store = new PostgresCheckpointStore({ postgres, schema });
    try {
      for (const use of [
        () => store.save(newCheckpoint()),
        () => store.list('any'),
        () => store.delete('any'),
        () => store.clear('any'),
      ]) {
        await store.initSchema();
        await pool.query(drop(schema));
        await use();
      }
      const checkpoint = newCheckpoint();
      await store.save(checkpoint);
      expect((await store.load(checkpoint.id)).id).toBe(checkpoint.id);
    } finally {
      await store.close();
    }
  });
});

it('a new replica that starts after the checkpoint table was dropped creates it', async () => {
  const place = await testPlace();
  const store = testStore(place);
  await store.initSchema();
  await place.pool.query(`DROP TABLE ${place.schema}.checkpoints`);
  await startWriter(place);
  await store.save(newCheckpoint(), { ack: 'committed' });
});
