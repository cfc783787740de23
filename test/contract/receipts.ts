import { expect, it } from 'vitest';
import type { StoreUnderTest } from './checkpoint-store.js';
import { newCheckpoint } from './checkpoints.js';

export function itSaysWhatBecame(underTest: StoreUnderTest): void {
  it('gives the id, and sequences that rise from save to save', async () => {
    const { store } = underTest;
    const checkpoint = newCheckpoint();
    const sequences: number[] = [];
    for (let version = 3; version >= 0; version--) {
      const receipt = await store.save({ ...checkpoint, version });
      expect(receipt.id).toBe(checkpoint.id);
      sequences.push(receipt.sequence);
    }
    expect(sequences.every(Number.isSafeInteger)).toBe(true);
    expect(isRising(sequences)).toBe(true);
  });

  it('gives the receipts of a batch in its order, with sequences that rise', async () => {
    const { store } = underTest;
    const batch = [3, 1, 2].map((version) => newCheckpoint({ version }));
    const receipts = await store.saveBatch(batch);
    expect(receipts.map(({ id }) => id)).toEqual(batch.map(({ id }) => id));
    expect(isRising(receipts.map(({ sequence }) => sequence))).toBe(true);
  });

  it('gives each save of one id within a batch a sequence of its own, in its order', async () => {
    const checkpoint = newCheckpoint();
    const receipts = await underTest.store.saveBatch(
      [2, 1, 2].map((version) => ({ ...checkpoint, version })),
    );
    expect(isRising(receipts.map(({ sequence }) => sequence))).toBe(true);
  });

  it('says committed of what is stored and superseded of what a newer one made needless', async () => {
    const { store, settle } = underTest;
    const checkpoint = newCheckpoint({ version: 2 });
    const stored = await store.save(checkpoint);
    const older = await store.save({ ...checkpoint, version: 1 });
    await settle();
    expect(await stored.committed()).toBe('committed');
    expect(await stored.committed()).toBe('committed');
    expect(await older.committed()).toBe('superseded');
  });

  it('says superseded of all but the newest of one id within a batch', async () => {
    const { store } = underTest;
    const checkpoint = newCheckpoint();
    const receipts = await store.saveBatch([2, 3, 3, 1].map((version) => ({ ...checkpoint, version })));
    const outcomes = await Promise.all(receipts.map((receipt) => receipt.committed()));
    expect(outcomes).toEqual(['superseded', 'superseded', 'committed', 'superseded']);
  });

  it('can be waited for without anything else that makes it settle', async () => {
    const { store } = underTest;
    const checkpoint = newCheckpoint({ state: 'here' });
    await (await store.save(checkpoint)).committed();
    expect((await store.load(checkpoint.id)).state).toBe('here');
  });

  it('returns from a save with ack committed when the checkpoint can be read', async () => {
    const { store } = underTest;
    const checkpoint = newCheckpoint({ state: 'here' });
    await store.save(checkpoint, { ack: 'committed' });
    expect((await store.load(checkpoint.id)).state).toBe('here');
  });

  it('reads every acknowledged save with consistency latest', async () => {
    const { store } = underTest;
    const checkpoint = newCheckpoint({ state: 'here' });
    const { id, executionId } = checkpoint;
    await store.save(checkpoint);
    expect(await store.latest(executionId, { consistency: 'latest' })).toMatchObject({ id });
    await store.save({ ...checkpoint, state: 'changed' });
    expect(await store.load(id, { consistency: 'latest', executionId })).toMatchObject({ state: 'changed' });
    await store.save(newCheckpoint({ executionId }));
    expect(await store.list(executionId, { consistency: 'latest' })).toHaveLength(2);
  });
}

function isRising(numbers: readonly number[]): boolean {
  return numbers.every((number, index) => index === 0 || number > (numbers[index - 1] as number));
}
