import { expect, it, onTestFinished } from 'vitest';
import type { ContractStore, StoreUnderTest } from './checkpoint-store.js';
import { newCheckpoint } from './checkpoints.js';

const { id, executionId } = newCheckpoint();

const CALLS: Array<[name: string, call: (store: ContractStore) => Promise<unknown>]> = [
  ['save', (store) => store.save(newCheckpoint())],
  ['saveBatch', (store) => store.saveBatch([newCheckpoint()])],
  ['load', (store) => store.load(id)],
  ['latest', (store) => store.latest(executionId)],
  ['list', (store) => store.list(executionId)],
  ['delete', (store) => store.delete(id)],
  ['clear', (store) => store.clear(executionId)],
];

export function itCloses(underTest: StoreUnderTest): void {
  async function openAlone(): Promise<ContractStore> {
    const opened = await underTest.open();
    onTestFinished(opened.close);
    return opened.store;
  }

  it('may be closed many times, at once and later, used or not', async () => {
    const store = await openAlone();
    await store.save(newCheckpoint());
    await Promise.all([store.close(), store.close()]);
    expect(await store.close()).toBeUndefined();
    const unused = await openAlone();
    expect(await unused.close()).toBeUndefined();
  });

  it('rejects every call after close with ClosedError', async () => {
    const store = await openAlone();
    await store.close();
    for (const [name, call] of CALLS) {
      const error: unknown = await call(store).then(
        () => `${name} went through`,
        (reason) => reason,
      );
      expect(error, name).toMatchObject({ name: 'ClosedError', code: 'CLOSED' });
    }
  });

  it('finishes the saves that were begun before close', async () => {
    const store = await openAlone();
    await store.save(newCheckpoint());
    const saving = Array.from({ length: 50 }, () => store.save(newCheckpoint()));
    const closing = store.close();
    const settled = await Promise.allSettled(saving);
    await closing;
    expect(settled.map(({ status }) => status)).toEqual(settled.map(() => 'fulfilled'));
  });
}
