import { once } from 'node:events';
import { expect, it, onTestFinished, vi } from 'vitest';
import {
  type BackgroundFailure,
  CheckpointRecorder,
  type CheckpointRecorderOptions,
  MemoryCheckpointStore,
} from '../../src/index.js';
import { newExecution } from '../contract/checkpoints.js';
import { everythingIn, rejectionOf } from '../quiet.js';
import { type Place, testPlace, testStore } from '../store/place.js';
import { plainStore, testRecorder } from './recorders.js';

const SECRET = 'secret-of-the-state';

interface Failure {
  readonly error: Error & { code?: string };
  readonly failure: BackgroundFailure;
}

function failures() {
  const list: Failure[] = [];
  const onError = (error: Error, failure: BackgroundFailure) => void list.push({ error, failure });
  return { list, onError };
}

/** A plain store that PostgreSQL lets save no node of this name until `allow` is called. */
async function refusing(nodeName: string) {
  const place: Place = await testPlace();
  const store = plainStore(place);
  await store.initSchema();
  const table = `${place.schema}.checkpoints`;
  await place.pool.query(`ALTER TABLE ${table} ADD CONSTRAINT refused CHECK (node_name <> '${nodeName}')`);
  return { store, allow: () => place.pool.query(`ALTER TABLE ${table} DROP CONSTRAINT refused`) };
}

it('tells onError of a background save that failed, and goes on', async () => {
  const { store } = await refusing('refused');
  const { list, onError } = failures();
  const recorder = testRecorder({ store, onError });
  recorder.afterNode('a', {});
  recorder.afterNode('refused', { [SECRET]: SECRET });
  recorder.afterNode('b', {});

  expect((await recorder.list()).map(({ nodeName }) => nodeName)).toEqual(['a', 'b']);
  expect(list).toMatchObject([
    { error: { code: 'DATABASE', sqlState: '23514' }, failure: { action: 'save', nodeName: 'refused' } },
  ]);
  expect(everythingIn(list)).not.toContain(SECRET);
});

it('tells the caller of a save by hand that failed, and nobody else', async () => {
  const { store } = await refusing('refused');
  const recorder = testRecorder({ store });
  await expect(recorder.save('refused', {})).rejects.toMatchObject({ code: 'DATABASE' });
  await expect(recorder.updateState({}, 'refused')).rejects.toMatchObject({ code: 'DATABASE' });
});

it('tells onError when the queue is away, within the deadline of a save', async () => {
  const place = await testPlace();
  const store = testStore(place, { redis: 'redis://127.0.0.1:1', enqueueTimeoutMs: 50 });
  const { list, onError } = failures();
  const recorder = testRecorder({ store, onError });
  recorder.afterNode('a', {});
  await recorder.close();
  expect(list).toMatchObject([{ error: { code: 'QUEUE_UNAVAILABLE' }, failure: { nodeName: 'a' } }]);
});

it.each([true, false])('tells onError of a state that cannot be stored, autoSave %s', async (autoSave) => {
  const { list, onError } = failures();
  const recorder = testRecorder({ store: new MemoryCheckpointStore(), autoSave, onError });
  const circular: Record<string, unknown> = {};
  circular[SECRET] = circular;
  recorder.afterNode('a', circular);
  recorder.afterNode('b\0', {});
  recorder.afterNode('c', {});
  await recorder.close();
  const invalid = (field: string) => ({ error: { code: 'INVALID_CHECKPOINT', field } });
  expect(list).toMatchObject([invalid('state'), invalid('nodeName')]);
  expect(everythingIn(list)).not.toContain(SECRET);
});

it('tries the newest state again at the next interval, and at close, as the same checkpoint', async () => {
  const { store, allow } = await refusing('node');
  const { list, onError } = failures();
  const save = vi.spyOn(store, 'save');
  const recorder = testRecorder({ store, autoSave: false, saveIntervalMs: 60, onError });
  recorder.afterNode('node', 'old');
  recorder.afterNode('node', 'newest');
  await vi.waitUntil(() => list.length >= 3);
  expect(await recorder.list()).toEqual([]);

  await allow();
  await recorder.close();

  const stored = await store.list(recorder.executionId);
  expect(stored.map(({ state }) => state)).toEqual(['newest']);
  const ids = save.mock.calls.map(([{ id }]) => id);
  // A try that seemed to fail may have been stored: the next one must not add to it.
  expect(new Set(ids)).toEqual(new Set([ids[0], stored[0]?.id]));
});

it('does not try again what a closed store refuses', async () => {
  const store = new MemoryCheckpointStore();
  const { list, onError } = failures();
  const recorder = testRecorder({ store, autoSave: false, saveIntervalMs: 1, onError });
  await store.close();
  recorder.afterNode('node', {});
  await recorder.close();
  expect(list).toMatchObject([{ error: { code: 'CLOSED' } }]);
});

it('lets the saves fail that cannot know their version, and looks again with the next', async () => {
  const place = await testPlace();
  const store = plainStore(place);
  await store.initSchema();
  const { list, onError } = failures();
  const recorder = testRecorder({ store, executionId: newExecution(), onError });
  const table = `${place.schema}.checkpoints`;
  await place.pool.query(`ALTER TABLE ${table} RENAME COLUMN version TO away`);
  recorder.afterNode('a', {});
  await expect(recorder.save('b', {})).rejects.toMatchObject({ code: 'DATABASE' });
  await place.pool.query(`ALTER TABLE ${table} RENAME COLUMN away TO version`);
  await recorder.save('c', {});

  expect(list).toMatchObject([{ error: { code: 'DATABASE' }, failure: { nodeName: 'a' } }]);
  expect(await recorder.resume()).toMatchObject({ nodeName: 'c', version: 1 });
});

it('holds a thousand saves at most', async () => {
  const { list, onError } = failures();
  const recorder = testRecorder({ store: new MemoryCheckpointStore(), onError });
  for (let step = 0; step < 1002; step++) recorder.afterNode(`${step}`, {});
  await vi.waitUntil(() => list.length === 2);
  const limit = { code: 'BACKPRESSURE', limit: 'maxUnacknowledgedSaves', actual: 1000, maximum: 1000 };
  expect(list).toMatchObject([
    { error: limit, failure: { nodeName: '1000' } },
    { error: limit, failure: { nodeName: '1001' } },
  ]);
  await recorder.close();
});

it.each([
  [
    'throws',
    () => {
      throw new Error(SECRET);
    },
  ],
  [
    'rejects',
    async () => {
      throw new Error(SECRET);
    },
  ],
])('survives an onError that %s', async (_, onError) => {
  const warning = once(process, 'warning');
  const store = new MemoryCheckpointStore();
  await store.close();
  const recorder = testRecorder({ store, onError });
  recorder.afterNode('a', {});
  await recorder.close();
  expect((await warning)[0]).toMatchObject({ name: 'CheckpointRecorderWarning' });
});

it('warns where there is no onError', async () => {
  const warning = once(process, 'warning');
  const store = new MemoryCheckpointStore();
  await store.close();
  const recorder = new CheckpointRecorder({ store });
  onTestFinished(() => recorder.close());
  recorder.afterNode('a', { [SECRET]: SECRET });
  const [told] = await warning;
  expect(told).toMatchObject({ name: 'CheckpointRecorderWarning', code: 'CLOSED' });
  expect(told.message).toBe('a checkpoint could not be saved: The store is closed');
});

it.each<[field: string, options: object]>([
  ['store', { store: undefined }],
  ['autoSave', { autoSave: 'yes' }],
  ['saveIntervalMs', { saveIntervalMs: 0 }],
  ['saveIntervalMs', { saveIntervalMs: 2 ** 31 }],
  ['saveIntervalMs', { saveIntervalMs: Number.NaN }],
  ['maxCheckpoints', { maxCheckpoints: 0 }],
  ['maxCheckpoints', { maxCheckpoints: 1.5 }],
  ['executionId', { executionId: '' }],
])('names the option that is wrong: %s', async (field, options) => {
  const opened = (async () =>
    new CheckpointRecorder({
      store: new MemoryCheckpointStore(),
      ...options,
    } as CheckpointRecorderOptions))();
  expect(await rejectionOf(opened)).toMatchObject({ field });
});
