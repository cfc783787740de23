import { afterAll, beforeAll, describe } from 'vitest';
import type { CheckpointInput, CheckpointStore, SaveReceipt } from '../../src/index.js';
import { itCloses } from './closing.js';
import { itDeletes } from './deleting.js';
import { itLists } from './listing.js';
import { itTakesHostileNames } from './names.js';
import { itComparesVersions } from './optimistic-locking.js';
import { itSaysWhatBecame } from './receipts.js';
import { itRefuses } from './refusing.js';
import { itSaves } from './saving.js';

/** All three stores have `saveBatch` beside the interface. */
export type ContractStore = CheckpointStore & {
  saveBatch(checkpoints: readonly CheckpointInput[]): Promise<SaveReceipt[]>;
};

export interface OpenedStore {
  readonly store: ContractStore;
  /** Resolves when all that was saved can be read. */
  settle(): Promise<void>;
  /** Closes the store and what it was opened with. */
  close(): Promise<void>;
}

/** What the parts of the contract work on: one store for all of them, and `open` for who needs one alone. */
export interface StoreUnderTest {
  readonly store: ContractStore;
  settle(): Promise<void>;
  /** Saves one after the other, and waits until they can be read. */
  save(...checkpoints: CheckpointInput[]): Promise<void>;
  open(): Promise<OpenedStore>;
}

/** What every CheckpointStore promises, as tests: run it on each implementation. */
export function describeCheckpointStore(name: string, open: () => Promise<OpenedStore>): void {
  describe(name, () => {
    let opened: OpenedStore;
    beforeAll(async () => {
      opened = await open();
    });
    afterAll(() => opened.close());

    const underTest: StoreUnderTest = {
      open,
      get store() {
        return opened.store;
      },
      settle: () => opened.settle(),
      async save(...checkpoints) {
        for (const checkpoint of checkpoints) await opened.store.save(checkpoint);
        await opened.settle();
      },
    };
    describe('save and load', () => itSaves(underTest));
    describe('receipts', () => itSaysWhatBecame(underTest));
    describe('optimistic locking', () => itComparesVersions(underTest));
    describe('latest and list', () => itLists(underTest));
    describe('delete and clear', () => itDeletes(underTest));
    describe('names', () => itTakesHostileNames(underTest));
    describe('bad input', () => itRefuses(underTest));
    describe('close', () => itCloses(underTest));
  });
}
