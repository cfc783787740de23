import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BackpressureError, type QueuedCheckpointStore, QueueUnavailableError } from '../../src/index.js';
import { CallOrder } from '../../src/producer/call-order.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { TcpProxy } from './tcp-proxy.js';

const ROUNDS = 25;
/** Rounds in which a command waits for its deadline take seconds. */
const TEST_TIMEOUT_MS = 120_000;
/** Requests of a save and of what follows it: the connection is lost anywhere in them. */
const MOST_BYTES = 6000;

type Settled = { outcome: string } | { failed: unknown };

async function settled(work: Promise<string>): Promise<Settled> {
  try {
    return { outcome: await work };
  } catch (failed) {
    return { failed };
  }
}

/** A store whose connection can be lost, beside a writer whose connection is not. */
async function fragileStore(
  options: Parameters<typeof testStore>[1] = {},
): Promise<{ store: QueuedCheckpointStore; proxy: TcpProxy; place: Place }> {
  const place = await testPlace();
  const proxy = await TcpProxy.before(place.redis);
  await startWriter(place);
  const store = testStore(place, { redis: proxy.url, ...options });
  await store.save(newCheckpoint());
  return { store, proxy, place };
}

describe('operations called one after the other, none awaited, while the connection is lost in between', {
  timeout: TEST_TIMEOUT_MS,
}, () => {
  it.each<[name: string, options: Parameters<typeof testStore>[1], bytes: number]>([
    ['a queued save', {}, 10],
    ['many queued saves', { maxChunkRecords: 1 }, 10],
    ['a save past the queue', { maxQueuedBytes: 500 }, 2000],
    ['a save that writes through', { onQueueUnavailable: 'write-through', enqueueTimeoutMs: 300 }, 10],
  ])('%s that was called before a delete never shows after it', async (_, options, stateBytes) => {
    const { store, proxy } = await fragileStore(options);
    const state = 'x'.repeat(stateBytes);
    const property = fc.asyncProperty(
      fc.integer({ min: 0, max: MOST_BYTES }),
      fc.constantFrom('toServer' as const, 'toClient' as const),
      fc.boolean(),
      fc.integer({ min: 1, max: 6 }),
      async (bytes, direction, clears, saves) => {
        const { executionId, id } = newCheckpoint();
        const cut = proxy.cutAfter(bytes, direction);
        const saving = Array.from({ length: saves }, (__, version) =>
          settled(
            store
              .save({ ...newCheckpoint({ id, executionId, state }), version })
              .then((receipt) => receipt.committed()),
          ),
        );
        const removed = await settled(
          (clears ? store.clear(executionId) : store.delete(id)).then(() => 'removed'),
        );
        await Promise.all(saving);
        void cut;
        if ('failed' in removed) {
          expect(removed.failed).toBeInstanceOf(QueueUnavailableError);
          return;
        }
        expect(await store.list(executionId)).toEqual([]);
      },
    );
    await fc.assert(property, { numRuns: ROUNDS, endOnFailure: true });
  });

  it('of saves of one version, the one that was called last is stored', async () => {
    const { store, proxy } = await fragileStore({ maxChunkRecords: 1 });
    const property = fc.asyncProperty(
      fc.integer({ min: 0, max: MOST_BYTES }),
      fc.integer({ min: 2, max: 12 }),
      async (bytes, saves) => {
        const { executionId, id } = newCheckpoint();
        const cut = proxy.cutAfter(bytes, 'toServer');
        const saving = Array.from({ length: saves }, (_, state) =>
          settled(
            store.save(newCheckpoint({ id, executionId, state })).then((receipt) => receipt.committed()),
          ),
        );
        const outcomes = await Promise.all(saving);
        void cut;
        const last = outcomes.findLastIndex((one) => 'outcome' in one);
        if (last < 0) return;
        // What failed may be stored all the same.
        const { state } = await store.load(id);
        expect(state).toBeGreaterThanOrEqual(last);
      },
    );
    await fc.assert(property, { numRuns: ROUNDS, endOnFailure: true });
  });

  it('a comparing save that was called before a clear never shows after it', async () => {
    const { store, proxy } = await fragileStore();
    const property = fc.asyncProperty(fc.integer({ min: 0, max: MOST_BYTES }), async (bytes) => {
      const { executionId, id } = newCheckpoint();
      const cut = proxy.cutAfter(bytes, 'toServer');
      const saving = settled(
        store
          .save(newCheckpoint({ id, executionId, version: 1 }), { expectedVersion: 0 })
          .then(() => 'saved'),
      );
      const removed = await settled(store.clear(executionId).then(() => 'removed'));
      const saved = await saving;
      void cut;
      if ('failed' in removed || 'failed' in saved) return;
      expect(await store.latest(executionId)).toBeUndefined();
    });
    await fc.assert(property, { numRuns: ROUNDS, endOnFailure: true });
  });
});

describe('CallOrder', () => {
  it('numbers operations in the order of the calls, whenever each is drawn, and whichever fail', async () => {
    const operation = fc.record({
      /** Turns of the event loop until each draw of it is executed; several where it draws again. */
      turns: fc.integer({ min: 0, max: 8 }),
      fails: fc.boolean(),
    });
    const property = fc.asyncProperty(fc.array(operation, { maxLength: 20 }), async (operations) => {
      const order = new CallOrder();
      let last = 0;
      const numbers = await Promise.allSettled(
        operations.map(({ turns, fails }) =>
          order.number(async () => {
            for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
            if (fails) throw new BackpressureError('maxQueueDepth', 1, 1);
            return ++last;
          }),
        ),
      );
      const drawn = numbers.flatMap((number) => (number.status === 'fulfilled' ? [number.value] : []));
      expect(drawn).toEqual([...drawn].sort((a, b) => a - b));
      expect(drawn).toHaveLength(operations.filter(({ fails }) => !fails).length);
    });
    await fc.assert(property);
  });
});
