import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type CheckpointInput, DeadLetteredError, type QueuedCheckpointStore } from '../../src/index.js';
import { deadLetterKeys } from '../../src/redis/queue-keys.js';
import { DeadLetterLookup } from '../../src/store/dead-letter-lookup.js';
import { newCheckpoint, newExecution } from '../contract/checkpoints.js';
import { type PoisonablePlace, poisonablePlace, testLetters } from '../dead-letters/letters.js';
import { startWriter, testStore } from './place.js';

const LATEST = { consistency: 'latest', timeoutMs: 25_000 } as const;
const DEAD_LETTERED = { code: 'DEAD_LETTERED' };
const REFUSED = { poison: 1 };

/** A store with a writer, on a table that refuses states with the key `poison`. */
async function poisonableStore(): Promise<{ place: PoisonablePlace; store: QueuedCheckpointStore }> {
  const place = await poisonablePlace();
  await startWriter(place);
  return { place, store: testStore(place) };
}

/** Saves of one id and execution, each with the fields given. */
function savesOf(store: QueuedCheckpointStore) {
  const { id, executionId } = newCheckpoint();
  const save = (fields: Partial<CheckpointInput>) =>
    store.save(newCheckpoint({ id, executionId, timestamp: new Date(1000), ...fields }));
  const load = () => store.load(id, { ...LATEST, executionId });
  return { id, executionId, save, load };
}

describe('a read of the latest beside a refused save', () => {
  it('throws where an older version was saved after it', async () => {
    const { store } = await poisonableStore();
    const { executionId, save, load } = savesOf(store);
    await save({ version: 2, state: REFUSED });
    await save({ version: 1 });
    await expect(load()).rejects.toMatchObject(DEAD_LETTERED);
    await expect(store.latest(executionId, LATEST)).rejects.toMatchObject(DEAD_LETTERED);
    await expect(store.list(executionId, LATEST)).rejects.toMatchObject(DEAD_LETTERED);
    expect((await store.list(executionId)).map(({ version }) => version)).toEqual([1]);
  });

  it('gives the higher version that is stored, though a lower one was refused after it', async () => {
    const { store } = await poisonableStore();
    const { executionId, save, load } = savesOf(store);
    await save({ version: 2 });
    await save({ version: 1, state: REFUSED });
    expect(await load()).toMatchObject({ version: 2 });
    expect(await store.latest(executionId, LATEST)).toMatchObject({ version: 2 });
    expect(await store.list(executionId, LATEST)).toHaveLength(1);
  });

  it('takes no notice of one that stands before the newest checkpoint of the execution', async () => {
    const { store } = await poisonableStore();
    const { executionId, save } = savesOf(store);
    await save({ timestamp: new Date(2000) });
    await save({ id: 'other', timestamp: new Date(1000), state: REFUSED });
    expect(await store.latest(executionId, LATEST)).toMatchObject({ timestamp: new Date(2000) });
    await save({ id: 'third', timestamp: new Date(3000), state: REFUSED });
    await expect(store.latest(executionId, LATEST)).rejects.toMatchObject({ ...DEAD_LETTERED, id: 'third' });
  });

  it('throws where the refused save would have moved the newest checkpoint to an earlier time', async () => {
    const { store } = await poisonableStore();
    const { id, executionId, save } = savesOf(store);
    await save({ id: 'other', timestamp: new Date(2000) });
    await save({ timestamp: new Date(3000) });
    await save({ timestamp: new Date(1000), version: 2, state: REFUSED });
    await expect(store.latest(executionId, LATEST)).rejects.toMatchObject({ ...DEAD_LETTERED, id });
  });

  it('throws where the payload is lost and nothing tells how old it is, until it is deleted', async () => {
    const { place, store } = await poisonableStore();
    const { executionId, save, load } = savesOf(store);
    await save({ version: 1, state: REFUSED });
    // Not in one batch, in which it would give way without a try.
    await store.flush(executionId).catch(() => {});
    await save({ version: 2 });
    expect(await load()).toMatchObject({ version: 2 });
    const { payloadPrefix } = deadLetterKeys(place.keys);
    await place.client.unlink(await place.client.keys(`${payloadPrefix}*`));
    await expect(load()).rejects.toMatchObject(DEAD_LETTERED);
    await store.clear(executionId);
    expect(await store.latest(executionId, LATEST)).toBeUndefined();
  });

  it('waits for a replay that takes the dead letter away while it looks', async () => {
    const place = await poisonablePlace();
    const store = testStore(place);
    const writer = await startWriter(place);
    const { executionId, save } = savesOf(store);
    await save({ version: 1 });
    await save({ version: 2, state: REFUSED });
    await store.flush(executionId).catch(() => {});
    await writer.close();
    await place.cure();
    const look = DeadLetterLookup.prototype.ofExecution;
    const looking = vi.spyOn(DeadLetterLookup.prototype, 'ofExecution');
    onTestFinished(() => looking.mockRestore());
    looking.mockImplementationOnce(async function late(this: DeadLetterLookup, ...args) {
      await testLetters(place).replay({ all: true, wait: false });
      return look.apply(this, args);
    });
    const reading = store.latest(executionId, LATEST);
    await expect.poll(() => place.client.llen(place.keys.waiting)).toBe(1);
    await startWriter(place);
    expect(await reading).toMatchObject({ version: 2 });
  });
});

interface Op {
  readonly kind: 'save' | 'delete' | 'clear';
  readonly id: string;
  readonly version: number;
  readonly timestamp: number;
  readonly refused: boolean;
}

const ops = fc.array(
  fc.record({
    kind: fc.constantFrom('save', 'save', 'save', 'save', 'save', 'save', 'delete', 'clear'),
    id: fc.constantFrom('a', 'b', 'c'),
    version: fc.integer({ min: 0, max: 2 }),
    timestamp: fc.integer({ min: 0, max: 2 }),
    refused: fc.boolean(),
  }),
  { minLength: 1, maxLength: 8 },
) as fc.Arbitrary<Op[]>;

/** The refused save that stands last would give way to another refused one. */
const TWO_OF_ONE_ID: Op[] = [
  { kind: 'save', id: 'b', version: 1, timestamp: 0, refused: true },
  { kind: 'save', id: 'b', version: 0, timestamp: 2, refused: true },
  { kind: 'save', id: 'a', version: 0, timestamp: 1, refused: false },
];

type Saved = Op & { readonly place: number };

/** What there would be if PostgreSQL had refused nothing, and what it has stored; of each id the highest version, then the last. */
class Oracle {
  readonly all = new Map<string, Saved>();
  readonly stored = new Map<string, Saved>();

  constructor(history: readonly Op[]) {
    for (const [place, op] of history.entries()) {
      for (const rows of [this.all, this.stored]) {
        if (op.kind === 'clear') rows.clear();
        else if (op.kind === 'delete') rows.delete(op.id);
        else if (!op.refused || rows === this.all) {
          const other = rows.get(op.id);
          if (!other || other.version <= op.version) rows.set(op.id, { ...op, place });
        }
      }
    }
  }

  latestOf(rows: ReadonlyMap<string, Saved>): Saved | undefined {
    return [...rows.values()].sort(byPosition).at(-1);
  }
}

function byPosition(a: Saved, b: Saved): number {
  return a.timestamp - b.timestamp || a.version - b.version || a.place - b.place;
}

/** The place of what was read in the history; `refused` where that was told; undefined for nothing. */
async function readPlace<T>(reading: Promise<T>, placeOf: (read: T) => unknown): Promise<unknown> {
  try {
    return placeOf(await reading);
  } catch (error) {
    if (error instanceof DeadLetteredError) return 'refused';
    if ((error as { code?: string }).code === 'CHECKPOINT_NOT_FOUND') return undefined;
    throw error;
  }
}

describe('whatever is saved, refused and deleted in whichever order', () => {
  it('reads of the latest show what would be newest had nothing been refused, or throw', {
    timeout: 240_000,
  }, async () => {
    const { store } = await poisonableStore();
    await fc.assert(
      fc.asyncProperty(ops, async (history) => {
        const executionId = newExecution();
        const idOf = (id: string) => `${executionId}:${id}`;
        for (const [index, { kind, id, version, timestamp, refused }] of history.entries()) {
          if (kind === 'clear') await store.clear(executionId);
          else if (kind === 'delete') await store.delete(idOf(id));
          else {
            const state = { place: index, ...(refused && { poison: 1 }) };
            const fields = {
              id: idOf(id),
              executionId,
              nodeName: '',
              version,
              timestamp: new Date(timestamp),
            };
            await store.save({ ...fields, state });
          }
        }
        const oracle = new Oracle(history);
        const stateOf = (read: { state: unknown } | undefined) =>
          read && (read.state as { place: number }).place;
        for (const id of ['a', 'b', 'c']) {
          const truth = oracle.all.get(id);
          const read = await readPlace(store.load(idOf(id), { ...LATEST, executionId }), stateOf);
          expect([id, read]).toEqual([id, truth?.refused ? 'refused' : truth?.place]);
        }
        const [truth, found] = [oracle.latestOf(oracle.all), oracle.latestOf(oracle.stored)];
        expect(await readPlace(store.latest(executionId, LATEST), stateOf)).toEqual(
          truth?.place === found?.place ? truth?.place : 'refused',
        );
        const stale = [...oracle.stored.keys()].some((id) => oracle.all.get(id)?.refused);
        const listed = [...oracle.stored.values()].sort(byPosition).map((saved) => saved.place);
        expect(await readPlace(store.list(executionId, LATEST), (rows) => rows.map(stateOf))).toEqual(
          stale ? 'refused' : listed,
        );
      }),
      { numRuns: 60, examples: [[TWO_OF_ONE_ID]] },
    );
  });
});
