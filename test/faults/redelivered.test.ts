import { expect, it, onTestFinished } from 'vitest';
import { Redelivery } from '../model/redelivery.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { deadLetters } from '../writer/forged-jobs.js';
import { Load } from './load.js';
import { FaultOracle, NOTHING_WRONG, type WholeCheckpoint } from './oracle.js';

const TIMEOUT_MS = 120_000;
const SAVES = 800;

/** Every row, with what tells that it was written again: its place in the table and the transaction that wrote it. */
async function rowsOf({ pool, schema }: Place): Promise<object[]> {
  const { rows } = await pool.query(
    `SELECT ctid, xmin, * FROM ${schema}.checkpoints ORDER BY id COLLATE "C"`,
  );
  return rows;
}

function shuffled<T>(items: readonly T[]): T[] {
  const keyed = items.map((item) => ({ item, key: Math.random() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
}

function whole(id: string, state: object): WholeCheckpoint {
  return {
    ...{ id, executionId: 'execution-other', nodeName: 'node', state, metadata: null },
    ...{ timestamp: new Date(1_700_000_000_000), version: 0 },
  };
}

it('all that was delivered comes twice more, in any order: no row is touched, and no dead letter is added', {
  timeout: TIMEOUT_MS,
}, async () => {
  const place = await testPlace();
  const { schema, pool, keys } = place;
  const redelivery = new Redelivery(place.redis, keys, `${schema}.checkpoints`);
  onTestFinished(() => redelivery.close());
  const store = testStore(place, { maxChunkRecords: 10 });
  const oracle = new FaultOracle();
  await store.initSchema();
  await pool.query(`ALTER TABLE ${schema}.checkpoints ADD CHECK (NOT state ? 'poison')`);
  const writer = await startWriter(place, { redis: redelivery.redis });

  const load = Load.start(store, oracle, { maxSaves: SAVES, pauseMs: 0 });
  await load.more(SAVES);
  await load.stop();
  await oracle.clear(store, load.executionIds[0] as string);
  for (const id of ['a', 'b', 'c']) await store.save(whole(id, { poison: id }));
  await oracle.save(store, whole('d', { deleted: true }));
  await oracle.delete(store, 'd');
  await oracle.save(store, whole('d', { deleted: false }));
  await expect(store.flush()).rejects.toMatchObject({ errors: [{ id: 'a' }, { id: 'b' }, { id: 'c' }] });
  const jobIds = redelivery.jobsOf('execution-');
  for (const jobId of jobIds) await redelivery.gone(jobId);
  const before = { rows: await rowsOf(place), dead: (await deadLetters(place)).map(({ id }) => id) };
  const { committed } = writer.stats;

  for (let times = 0; times < 2; times++) {
    for (const jobId of shuffled(jobIds)) expect(await redelivery.again(jobId)).toBe(true);
    for (const jobId of jobIds) await redelivery.gone(jobId);
  }
  expect(await rowsOf(place)).toEqual(before.rows);
  expect((await deadLetters(place)).map(({ id }) => id)).toEqual(before.dead);
  expect(before.dead).toEqual(['a', 'b', 'c']);
  expect(writer.stats.committed).toBe(committed);
  expect(await oracle.verify(place)).toEqual({ acknowledged: SAVES + 2, ...NOTHING_WRONG });
});
