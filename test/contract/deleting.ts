import { expect, it } from 'vitest';
import type { StoreUnderTest } from './checkpoint-store.js';
import { newCheckpoint, newExecution } from './checkpoints.js';

const NOT_FOUND = { code: 'CHECKPOINT_NOT_FOUND' };

export function itDeletes(underTest: StoreUnderTest): void {
  it('deletes one checkpoint and leaves the others', async () => {
    const { store, save } = underTest;
    const executionId = newExecution();
    const [gone, kept] = [newCheckpoint({ executionId }), newCheckpoint({ executionId })];
    await save(gone, kept);
    await store.delete(gone.id);
    await expect(store.load(gone.id)).rejects.toMatchObject(NOT_FOUND);
    expect((await store.list(executionId)).map(({ id }) => id)).toEqual([kept.id]);
  });

  it('clears an execution and leaves the others', async () => {
    const { store, save } = underTest;
    const executionId = newExecution();
    const gone = [newCheckpoint({ executionId }), newCheckpoint({ executionId })];
    const kept = newCheckpoint();
    await save(...gone, kept);
    await store.clear(executionId);
    expect(await store.list(executionId)).toEqual([]);
    expect(await store.latest(executionId)).toBeUndefined();
    for (const { id } of gone) await expect(store.load(id)).rejects.toMatchObject(NOT_FOUND);
    expect((await store.load(kept.id)).id).toBe(kept.id);
  });

  it('finds nothing wrong in deleting what is not there, even twice', async () => {
    const { store } = underTest;
    const { id, executionId } = newCheckpoint();
    expect(await store.delete(id)).toBeUndefined();
    expect(await store.delete(id)).toBeUndefined();
    expect(await store.clear(executionId)).toBeUndefined();
    expect(await store.clear(executionId)).toBeUndefined();
  });

  it.each(['delete', 'clear'] as const)(
    '%s covers saves that were acknowledged just before',
    async (method) => {
      const { store, settle } = underTest;
      const checkpoint = newCheckpoint({ version: 9 });
      for (let state = 0; state < 20; state++) await store.save({ ...checkpoint, state });
      await store[method](method === 'delete' ? checkpoint.id : checkpoint.executionId);
      await expect(store.load(checkpoint.id)).rejects.toMatchObject(NOT_FOUND);
      await settle();
      await expect(store.load(checkpoint.id)).rejects.toMatchObject(NOT_FOUND);
    },
  );

  it.each(['delete', 'clear'] as const)(
    'stores what is saved after %s, of a lower version too',
    async (method) => {
      const { store, save } = underTest;
      const checkpoint = newCheckpoint({ version: 5, state: 'old' });
      await save(checkpoint);
      await store[method](method === 'delete' ? checkpoint.id : checkpoint.executionId);
      await save({ ...checkpoint, version: 1, state: 'new' });
      expect(await store.load(checkpoint.id)).toMatchObject({ version: 1, state: 'new' });
    },
  );

  it('leaves what an id is now in another execution when its former one is cleared', async () => {
    const { store, save } = underTest;
    const former = newCheckpoint({ state: 'former' });
    await save(former, { ...former, executionId: newExecution(), state: 'moved' });
    await store.clear(former.executionId);
    expect((await store.load(former.id)).state).toBe('moved');
  });

  it.each([undefined, null, 7, '', 'a\0b', '\ud800', 'x'.repeat(513)])(
    'refuses %j as a name',
    async (name) => {
      const { store } = underTest;
      const refused = (field: string) => ({ code: 'INVALID_CHECKPOINT', field });
      await expect(store.delete(name as string)).rejects.toMatchObject(refused('id'));
      await expect(store.clear(name as string)).rejects.toMatchObject(refused('executionId'));
      await expect(store.load(name as string)).rejects.toMatchObject(refused('id'));
      await expect(store.latest(name as string)).rejects.toMatchObject(refused('executionId'));
      await expect(store.list(name as string)).rejects.toMatchObject(refused('executionId'));
    },
  );
}
