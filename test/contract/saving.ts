import { expect, it } from 'vitest';
import type { StoreUnderTest } from './checkpoint-store.js';
import { newCheckpoint, newExecution } from './checkpoints.js';

export function itSaves(underTest: StoreUnderTest): void {
  it('returns every field as it was saved', async () => {
    const { store, save } = underTest;
    const checkpoint = newCheckpoint({
      nodeName: 'plan',
      state: { messages: ['a', { b: [1, 2.5, -3e-7, null, true] }], empty: {}, none: [] },
      metadata: { source: 'loop', step: 3 },
      timestamp: new Date('2024-02-29T23:59:59.987Z'),
      version: 7,
    });
    await save(checkpoint);
    expect(await store.load(checkpoint.id)).toStrictEqual(checkpoint);
    expect(await store.latest(checkpoint.executionId)).toStrictEqual(checkpoint);
    expect(await store.list(checkpoint.executionId)).toStrictEqual([checkpoint]);
  });

  it('takes the execution from the metadata, now as timestamp and 1 as version where none is given', async () => {
    const { store, save } = underTest;
    const execution_id = newExecution();
    const { id } = newCheckpoint();
    const before = Date.now();
    await save({ id, nodeName: 'node', state: null, metadata: { execution_id } });
    const loaded = await store.load(id);
    expect(loaded).toMatchObject({ executionId: execution_id, metadata: { execution_id }, version: 1 });
    expect(loaded.timestamp.getTime()).toBeGreaterThanOrEqual(before);
    expect(loaded.timestamp.getTime()).toBeLessThanOrEqual(Date.now());
  });

  it('prefers a given execution to that of the metadata', async () => {
    const { store, save } = underTest;
    const checkpoint = newCheckpoint({ metadata: { execution_id: 'another' } });
    await save(checkpoint);
    expect((await store.load(checkpoint.id)).executionId).toBe(checkpoint.executionId);
  });

  it.each([undefined, null])('has null as metadata where %s is given', async (metadata) => {
    const { store, save } = underTest;
    const checkpoint = newCheckpoint({ metadata });
    await save(checkpoint);
    expect((await store.load(checkpoint.id)).metadata).toBeNull();
  });

  it.each([null, false, 0, '', 'text', [], [[]], {}, 1.5e300])('keeps %j as a state', async (state) => {
    const { store, save } = underTest;
    const checkpoint = newCheckpoint({ state });
    await save(checkpoint);
    expect((await store.load(checkpoint.id)).state).toStrictEqual(state);
  });

  it('stores what JSON makes of the state', async () => {
    const { store, save } = underTest;
    const state = { left: undefined, date: new Date(0), nan: Number.NaN, own: { toJSON: () => 'short' } };
    const checkpoint = newCheckpoint({ state });
    await save(checkpoint);
    const stored = { date: '1970-01-01T00:00:00.000Z', nan: null, own: 'short' };
    expect((await store.load(checkpoint.id)).state).toStrictEqual(stored);
  });

  it('takes an empty node name and the bounds of the version', async () => {
    const { store, save } = underTest;
    const [low, high] = [
      newCheckpoint({ nodeName: '', version: 0 }),
      newCheckpoint({ version: 2 ** 31 - 1 }),
    ];
    await save(low, high);
    expect(await store.load(low.id)).toMatchObject({ nodeName: '', version: 0 });
    expect(await store.load(high.id)).toMatchObject({ version: 2 ** 31 - 1 });
  });

  it('rejects with CheckpointNotFoundError, code and id, for an id that is not stored', async () => {
    const { id } = newCheckpoint();
    await expect(underTest.store.load(id)).rejects.toMatchObject({
      name: 'CheckpointNotFoundError',
      code: 'CHECKPOINT_NOT_FOUND',
      id,
    });
  });

  it.each(['save', 'saveBatch'] as const)('takes a snapshot at the call of %s', async (method) => {
    const { store, settle } = underTest;
    const state = { steps: [1] };
    const metadata = { tags: ['a'] };
    const timestamp = new Date(1000);
    const checkpoint = newCheckpoint({ state, metadata, timestamp, version: 3 });
    const { id } = checkpoint;
    const saving = method === 'save' ? store.save(checkpoint) : store.saveBatch([checkpoint]);
    state.steps.push(2);
    metadata.tags.push('b');
    timestamp.setTime(2000);
    Object.assign(checkpoint, { id: 'changed', nodeName: 'changed', version: 4 });
    await saving;
    state.steps.push(3);
    await settle();
    expect(await store.load(id)).toMatchObject({
      nodeName: 'node',
      state: { steps: [1] },
      metadata: { tags: ['a'] },
      timestamp: new Date(1000),
      version: 3,
    });
  });

  it('returns values that share nothing with each other and with what is stored', async () => {
    const { store, save } = underTest;
    const checkpoint = newCheckpoint({ state: { a: [1] }, metadata: { b: [1] }, timestamp: new Date(0) });
    await save(checkpoint);
    const reads = [
      () => store.load(checkpoint.id),
      () => store.latest(checkpoint.executionId),
      async () => (await store.list(checkpoint.executionId))[0],
    ];
    for (const read of reads) {
      const first = await read();
      Object.assign(first?.state as object, { a: 'spoilt' });
      Object.assign(first?.metadata as object, { b: 'spoilt' });
      first?.timestamp.setTime(1);
    }
    expect(await store.load(checkpoint.id)).toStrictEqual({ ...checkpoint, version: 1 });
  });

  it('replaces the whole checkpoint by one of a higher version', async () => {
    const { store, save } = underTest;
    const first = newCheckpoint({ state: 1, metadata: { a: 1 }, timestamp: new Date(2000), version: 1 });
    const second = newCheckpoint({ id: first.id, state: 2, timestamp: new Date(1000), version: 2 });
    await save(first, second);
    expect(await store.load(first.id)).toStrictEqual({ ...second, metadata: null });
    expect(await store.list(first.executionId)).toEqual([]);
    expect(await store.list(second.executionId)).toHaveLength(1);
  });

  it('keeps the stored checkpoint where a lower version is saved', async () => {
    const { store, save } = underTest;
    const high = newCheckpoint({ state: 'high', version: 2 });
    await save(high, { ...high, state: 'low', version: 1 });
    expect((await store.load(high.id)).state).toBe('high');
  });

  it('keeps the later one of two saves of the same version', async () => {
    const { store, save } = underTest;
    const first = newCheckpoint({ state: 'first', timestamp: new Date(2000) });
    await save(first, { ...first, state: 'second', timestamp: new Date(1000) });
    expect((await store.load(first.id)).state).toBe('second');
    await save({ ...first, state: 'third' });
    expect((await store.load(first.id)).state).toBe('third');
  });

  it('saves many at once', async () => {
    const { store, settle } = underTest;
    const executionId = newExecution();
    const batch = Array.from({ length: 250 }, (_, version) =>
      newCheckpoint({ executionId, state: version, version }),
    );
    await store.saveBatch(batch);
    await settle();
    const states = (await store.list(executionId)).map(({ state }) => state);
    expect(states.sort((a, b) => Number(a) - Number(b))).toEqual(batch.map(({ state }) => state));
  });

  it('keeps the highest version, then the last, of one id within a batch', async () => {
    const { store, settle } = underTest;
    const a = newCheckpoint();
    const b = newCheckpoint();
    await store.saveBatch([
      { ...a, state: 'a2', version: 2 },
      { ...b, state: 'first', version: 5 },
      { ...a, state: 'a3', version: 3 },
      { ...b, state: 'last', version: 5 },
      { ...a, state: 'a1', version: 1 },
    ]);
    await settle();
    expect(await store.load(a.id)).toMatchObject({ state: 'a3', version: 3 });
    expect(await store.load(b.id)).toMatchObject({ state: 'last', version: 5 });
  });

  it('makes nothing of an empty batch', async () => {
    expect(await underTest.store.saveBatch([])).toEqual([]);
  });
}
