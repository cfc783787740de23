import { expect, it } from 'vitest';
import { type CheckpointInput, VersionConflictError } from '../../src/index.js';
import type { StoreUnderTest } from './checkpoint-store.js';
import { newCheckpoint, newExecution } from './checkpoints.js';

const MAX_VERSION = 2 ** 31 - 1;
const NOT_FOUND = { code: 'CHECKPOINT_NOT_FOUND' };

function conflict(id: string, expectedVersion: number, actualVersion: number | undefined): object {
  const code = 'VERSION_CONFLICT';
  return { name: 'VersionConflictError', code, id, expectedVersion, actualVersion };
}

export function itComparesVersions(underTest: StoreUnderTest): void {
  it('replaces the whole checkpoint where the expected version is stored', async () => {
    const { store, save } = underTest;
    const former = newCheckpoint({ state: 'former', metadata: { a: 1 }, version: 4 });
    const next = newCheckpoint({
      id: former.id,
      nodeName: 'next',
      state: { messages: ['a'] },
      metadata: { b: [2] },
      timestamp: new Date('2024-02-29T23:59:59.987Z'),
      version: 9,
    });
    await save(former);
    await store.save(next, { expectedVersion: 4 });
    expect(await store.load(former.id)).toStrictEqual(next);
    expect(await store.list(former.executionId)).toEqual([]);
    await store.save({ ...next, metadata: null }, { expectedVersion: 9 });
    expect(await store.load(former.id)).toStrictEqual({ ...next, metadata: null });
  });

  it('can be read when it returns, and has a receipt that says so, with a sequence above all before', async () => {
    const { store, settle } = underTest;
    const checkpoint = newCheckpoint({ state: 0 });
    const sequences = [(await store.save(checkpoint)).sequence];
    await settle();
    for (const ack of ['queued', 'committed'] as const) {
      const receipt = await store.save(
        { ...checkpoint, state: ack },
        { expectedVersion: sequences.length, ack },
      );
      expect((await store.load(checkpoint.id)).state).toBe(ack);
      expect(receipt.id).toBe(checkpoint.id);
      expect(await receipt.committed()).toBe('committed');
      sequences.push(receipt.sequence);
    }
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
  });

  it('counts the version up where none is given, from nothing stored on', async () => {
    const { store } = underTest;
    const checkpoint = newCheckpoint();
    for (let expectedVersion = 0; expectedVersion < 5; expectedVersion++) {
      await store.save({ ...checkpoint, state: expectedVersion }, { expectedVersion });
      expect(await store.load(checkpoint.id)).toMatchObject({
        version: expectedVersion + 1,
        state: expectedVersion,
      });
    }
  });

  it('takes the place of a stored version 0, and may keep the version', async () => {
    const { store, save } = underTest;
    const checkpoint = newCheckpoint({ version: 0, state: 'zero' });
    await save(checkpoint);
    await store.save({ ...checkpoint, state: 'zero again' }, { expectedVersion: 0 });
    expect(await store.load(checkpoint.id)).toMatchObject({ version: 0, state: 'zero again' });
    await store.save({ ...checkpoint, version: undefined, state: 'one' }, { expectedVersion: 0 });
    await store.save({ ...checkpoint, version: MAX_VERSION, state: 'last' }, { expectedVersion: 1 });
    await store.save(
      { ...checkpoint, version: MAX_VERSION, state: 'last again' },
      { expectedVersion: MAX_VERSION },
    );
    expect(await store.load(checkpoint.id)).toMatchObject({ version: MAX_VERSION, state: 'last again' });
  });

  it.each([
    [0, 5],
    [4, 5],
    [6, 5],
    [0, MAX_VERSION],
    [1, 0],
  ])('where %i is expected and %i is stored, says both and writes nothing', async (expected, actual) => {
    const { store, save } = underTest;
    const stored = newCheckpoint({ version: actual, state: 'stored', timestamp: new Date(0) });
    await save(stored);
    const saving = store.save(
      { ...stored, version: MAX_VERSION, state: 'refused' },
      { expectedVersion: expected },
    );
    await expect(saving).rejects.toBeInstanceOf(VersionConflictError);
    await expect(saving).rejects.toMatchObject(conflict(stored.id, expected, actual));
    expect(await store.load(stored.id)).toStrictEqual({ ...stored, metadata: null });
  });

  it('where nothing is stored, says so and writes nothing', async () => {
    const { store } = underTest;
    const checkpoint = newCheckpoint();
    const saving = store.save(checkpoint, { expectedVersion: 1 }).catch((error: unknown) => error);
    // The checkpoint's own version, 1 by default, is no reason to refuse it.
    expect(await saving).toMatchObject(conflict(checkpoint.id, 1, undefined));
    expect(await store.list(checkpoint.executionId)).toEqual([]);
  });

  it.each(['delete', 'clear'] as const)(
    'does not bring back what %s removed meanwhile, and begins anew from 0',
    async (method) => {
      const { store, save, settle } = underTest;
      const checkpoint = newCheckpoint({ state: 'gone' });
      await save({ ...checkpoint, version: 7 });
      await store[method](method === 'delete' ? checkpoint.id : checkpoint.executionId);
      const saving = store.save(checkpoint, { expectedVersion: 7 });
      await expect(saving).rejects.toMatchObject(conflict(checkpoint.id, 7, undefined));
      await settle();
      await expect(store.load(checkpoint.id)).rejects.toMatchObject(NOT_FOUND);
      await store.save({ ...checkpoint, state: 'anew' }, { expectedVersion: 0 });
      await settle();
      expect(await store.load(checkpoint.id)).toMatchObject({ version: 1, state: 'anew' });
    },
  );

  it.each([0, 3])('lets one of 20 win who all expect version %i', async (expectedVersion) => {
    const { store, save } = underTest;
    const checkpoint = newCheckpoint();
    if (expectedVersion > 0) await save({ ...checkpoint, version: expectedVersion });
    const saves = await Promise.allSettled(
      Array.from({ length: 20 }, (_, state) => store.save({ ...checkpoint, state }, { expectedVersion })),
    );
    const winners = saves.flatMap(({ status }, state) => (status === 'fulfilled' ? [state] : []));
    expect(winners).toHaveLength(1);
    const stored = await store.load(checkpoint.id);
    expect(stored).toMatchObject({ version: expectedVersion + 1, state: winners[0] });
    for (const result of saves) {
      if (result.status === 'fulfilled') continue;
      expect(result.reason).toMatchObject(conflict(checkpoint.id, expectedVersion, expectedVersion + 1));
    }
  });

  it.each([-1, 1.5, 2 ** 31, Number.NaN, Number.POSITIVE_INFINITY, '1', null, 1n])(
    'refuses %s as the expected version before anything is stored',
    async (expectedVersion) => {
      const { store } = underTest;
      const checkpoint = newCheckpoint();
      const saving = store.save(checkpoint, { expectedVersion: expectedVersion as number });
      const refused = { code: 'INVALID_CHECKPOINT', field: 'expectedVersion', id: checkpoint.id };
      await expect(saving).rejects.toMatchObject(refused);
      expect(await store.list(checkpoint.executionId)).toEqual([]);
    },
  );

  it.each<[what: string, field: string, fields: Partial<CheckpointInput>, expectedVersion: number]>([
    ['a version below the expected one', 'version', { version: 4 }, 5],
    ['no version after the last one', 'expectedVersion', {}, MAX_VERSION],
    ['a version of 2^31', 'version', { version: 2 ** 31 }, 0],
    ['an id of 513 bytes', 'id', { id: 'x'.repeat(513) }, 0],
    ['an undefined state', 'state', { state: undefined }, 0],
  ])('refuses %s before anything is compared', async (_, field, fields, expectedVersion) => {
    const { store } = underTest;
    const checkpoint = newCheckpoint({ executionId: newExecution(), ...fields });
    const saving = store.save(checkpoint, { expectedVersion });
    await expect(saving).rejects.toMatchObject({ code: 'INVALID_CHECKPOINT', field });
    expect(await store.list(checkpoint.executionId)).toEqual([]);
  });
}
