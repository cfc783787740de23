import { expect, it, vi } from 'vitest';
import { newExecution } from '../contract/checkpoints.js';
import { type Place, startWriter, testPlace, testStore, testWriter } from '../store/place.js';
import { plainStore, testRecorder } from './recorders.js';

/** The nodes of what PostgreSQL holds, oldest first. */
async function storedNodes({ pool, schema }: Place): Promise<string[]> {
  const { rows } = await pool.query(
    `SELECT node_name FROM ${schema}.checkpoints ORDER BY timestamp, version`,
  );
  return rows.map(({ node_name }) => node_name);
}

it('deletes nothing that is committed for the sake of what only waits in the queue', async () => {
  const place = await testPlace();
  const executionId = newExecution();
  const former = testRecorder({ store: plainStore(place), executionId });
  for (const node of ['a', 'b', 'c']) await former.save(node, {});
  const store = testStore(place);
  const recorder = testRecorder({ store, executionId, maxCheckpoints: 2 });
  for (const node of ['d', 'e', 'f']) await recorder.save(node, {});
  expect(await storedNodes(place)).toEqual(['a', 'b', 'c']);

  await startWriter(place, { lingerMs: 0 });
  await recorder.close();

  expect(await storedNodes(place)).toEqual(['e', 'f']);
});

it('keeps what is committed while newer ones only wait in the queue', async () => {
  const place = await testPlace();
  const writer = await startWriter(place, { lingerMs: 0 });
  const store = testStore(place);
  const recorder = testRecorder({ store, maxCheckpoints: 3 });
  for (const node of ['a', 'b', 'c']) await recorder.save(node, {});
  await store.flush();
  await writer.close();
  for (const node of ['d', 'e']) await recorder.save(node, {});
  await recorder.close({ deadlineMs: 100 });

  expect(await storedNodes(place)).toEqual(['a', 'b', 'c']);
});

it('does not wait for commits longer than it is told at close; the next recorder sees to it', async () => {
  const place = await testPlace();
  const store = testStore(place);
  const recorder = testRecorder({ store, maxCheckpoints: 1 });
  for (const node of ['a', 'b', 'c']) await recorder.save(node, {});
  await recorder.close({ deadlineMs: 20 });

  await startWriter(place, { lingerMs: 0 });
  await store.flush();
  expect(await storedNodes(place)).toEqual(['a', 'b', 'c']);
  const next = testRecorder({ store, executionId: recorder.executionId, maxCheckpoints: 1 });
  next.afterNode('d', {});
  await next.close();
  expect(await storedNodes(place)).toEqual(['d']);
});

it('counts no save that PostgreSQL refuses, and tells of it', async () => {
  const place = await testPlace();
  const writer = testWriter(place, { lingerMs: 0 });
  await writer.start();
  await place.pool.query(
    `ALTER TABLE ${place.schema}.checkpoints ADD CONSTRAINT refused CHECK (node_name <> 'refused')`,
  );
  const refused: unknown[] = [];
  const onError = (error: Error, failure: object) => void refused.push({ error, failure });
  const recorder = testRecorder({ store: testStore(place), maxCheckpoints: 2, onError });
  for (const node of ['a', 'b', 'refused', 'refused', 'refused']) await recorder.save(node, {});
  await recorder.close();

  expect(await storedNodes(place)).toEqual(['a', 'b']);
  const told = { error: { code: 'DEAD_LETTERED' }, failure: { action: 'save', nodeName: 'refused' } };
  expect(refused).toMatchObject([told, told, told]);
});

it('goes on behind a refused save: its versions, and its limit', async () => {
  const place = await testPlace();
  await startWriter(place, { lingerMs: 0 });
  const executionId = newExecution();
  await place.pool.query(
    `ALTER TABLE ${place.schema}.checkpoints ADD CONSTRAINT refused CHECK (node_name <> 'refused')`,
  );
  const store = testStore(place);
  const former = testRecorder({ store, executionId });
  for (const node of ['a', 'b', 'refused']) await former.save(node, {});
  const recorder = testRecorder({ store, executionId, maxCheckpoints: 2 });
  await expect(recorder.resume()).rejects.toMatchObject({ code: 'DEAD_LETTERED' });
  await recorder.save('c', {});

  expect(await recorder.resume()).toMatchObject({ nodeName: 'c', version: 3 });
  await recorder.close();
  expect(await storedNodes(place)).toEqual(['b', 'c']);
});

it('tells onError of a delete that failed, and does it with a later save', async () => {
  const place = await testPlace();
  const store = plainStore(place);
  await store.initSchema();
  const { pool, schema } = place;
  const failures: unknown[] = [];
  const onError = (error: Error, failure: object) => void failures.push({ error, failure });
  const recorder = testRecorder({ store, maxCheckpoints: 1, onError });
  await pool.query(`ALTER TABLE ${schema}.checkpoints ADD CONSTRAINT one UNIQUE (id)`);
  await pool.query(
    `CREATE TABLE ${schema}.holds (id TEXT REFERENCES ${schema}.checkpoints (id) ON DELETE RESTRICT)`,
  );
  const { id } = await recorder.save('a', {});
  await pool.query(`INSERT INTO ${schema}.holds VALUES ($1)`, [id]);
  recorder.afterNode('b', {});
  await vi.waitUntil(() => failures.length > 0);
  expect(failures).toMatchObject([{ error: { code: 'DATABASE' }, failure: { action: 'trim' } }]);
  expect(await storedNodes(place)).toEqual(['a', 'b']);

  await pool.query(`DELETE FROM ${schema}.holds`);
  recorder.afterNode('c', {});
  await recorder.close();
  expect(await storedNodes(place)).toEqual(['c']);
});
