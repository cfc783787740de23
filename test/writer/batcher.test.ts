import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Batcher, type BatcherOptions } from '../../src/writer/batcher.js';

interface Item {
  readonly name: string;
  readonly records: readonly unknown[];
  readonly bytes: number;
}

function item(name: string, records = 1, bytes = 1): Item {
  return { name, records: Array(records).fill(0), bytes };
}

/** A batch that was begun and ends when the test says so. */
interface Begun {
  readonly names: string[];
  commit(): void;
}

/** A batcher whose commits the test holds in its hands. Time stands still but for `vi.advanceTimersByTime`. */
function heldBatcher(options: Partial<BatcherOptions<Item, string>> = {}) {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const begun: Begun[] = [];
  const batcher = new Batcher<Item, string>({
    maxRecords: 10,
    maxBytes: 100,
    maxItems: 1000,
    lingerMs: 5,
    maxConcurrent: 2,
    commit: (items) =>
      new Promise((resolve) => {
        const names = items.map(({ name }) => name);
        const commit = () => resolve(names.map((value) => ({ status: 'fulfilled', value })));
        begun.push({ names, commit });
      }),
    ...options,
  });
  return { batcher, begun, names: () => begun.map((batch) => batch.names) };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

describe('Batcher', () => {
  it('commits a lone item when it has lingered, and not before', () => {
    const { batcher, names } = heldBatcher();
    void batcher.add(item('a'));
    vi.advanceTimersByTime(4);
    expect(names()).toEqual([]);
    void batcher.add(item('b'));
    vi.advanceTimersByTime(1);
    expect(names()).toEqual([['a', 'b']]);
  });

  it('commits at once what is full, by records or by bytes', () => {
    const { batcher, names } = heldBatcher();
    void batcher.add(item('a', 4));
    void batcher.add(item('b', 6));
    expect(names()).toEqual([['a', 'b']]);
    void batcher.add(item('c', 1, 100));
    expect(names()).toEqual([['a', 'b'], ['c']]);
  });

  it('leaves for the next batch what does not fit, and takes what is too large alone', async () => {
    const { batcher, begun, names } = heldBatcher({ maxConcurrent: 1 });
    void batcher.add(item('a', 8));
    void batcher.add(item('b', 8));
    void batcher.add(item('huge', 50, 5000));
    void batcher.add(item('c', 1));
    expect(names()).toEqual([['a']]);
    for (const expected of [['b'], ['huge'], ['c']]) {
      begun.at(-1)?.commit();
      await settle();
      expect(names().at(-1)).toEqual(expected);
    }
  });

  it('has at most so many batches in flight, while the next one fills', async () => {
    const { batcher, begun, names } = heldBatcher();
    for (let i = 0; i < 6; i++) void batcher.add(item(`${i}`, 10));
    expect(names()).toEqual([['0'], ['1']]);
    begun[1]?.commit();
    await settle();
    expect(names()).toEqual([['0'], ['1'], ['2']]);
  });

  it('begins no batch beside another one that could still grow', async () => {
    const { batcher, begun, names } = heldBatcher();
    void batcher.add(item('a', 10));
    void batcher.add(item('b'));
    vi.advanceTimersByTime(999);
    void batcher.add(item('c', 8));
    expect(names()).toEqual([['a']]);
    void batcher.add(item('d'));
    expect(names()).toEqual([['a'], ['b', 'c', 'd']]);
    begun[0]?.commit();
    begun[1]?.commit();
    await settle();
    void batcher.add(item('e'));
    vi.advanceTimersByTime(5);
    expect(names().at(-1)).toEqual(['e']);
  });

  it('begins a batch beside one that is held for a second', () => {
    const { batcher, names } = heldBatcher();
    void batcher.add(item('a', 10));
    void batcher.add(item('b'));
    vi.advanceTimersByTime(1000);
    expect(names()).toEqual([['a'], ['b']]);
  });

  it('begins a batch that cannot grow, because all that may be here is here', () => {
    const { batcher, names } = heldBatcher({ maxItems: 4 });
    void batcher.add(item('a', 10));
    void batcher.add(item('b'));
    void batcher.add(item('c'));
    expect(names()).toEqual([['a']]);
    void batcher.add(item('d'));
    expect(names()).toEqual([['a'], ['b', 'c', 'd']]);
  });

  it('does not let what gathered during a commit linger again', async () => {
    const { batcher, begun, names } = heldBatcher({ maxConcurrent: 1 });
    void batcher.add(item('a', 10));
    void batcher.add(item('b'));
    void batcher.add(item('c'));
    vi.advanceTimersByTime(1000);
    expect(names()).toEqual([['a']]);
    begun[0]?.commit();
    await settle();
    expect(names()).toEqual([['a'], ['b', 'c']]);
  });

  it('gives each item its own outcome', async () => {
    const reason = new Error('refused');
    const { batcher } = heldBatcher({
      commit: async (items) =>
        items.map(({ name }) =>
          name === 'bad' ? { status: 'rejected', reason } : { status: 'fulfilled', value: `${name} done` },
        ),
    });
    const outcomes = Promise.allSettled(['a', 'bad', 'b'].map((name) => batcher.add(item(name))));
    vi.advanceTimersByTime(5);
    expect(await outcomes).toEqual([
      { status: 'fulfilled', value: 'a done' },
      { status: 'rejected', reason },
      { status: 'fulfilled', value: 'b done' },
    ]);
  });

  it('drains without lingering, what is added meanwhile too', async () => {
    const { batcher, begun, names } = heldBatcher({ lingerMs: 60_000 });
    void batcher.add(item('a'));
    let drained = false;
    const draining = batcher.drain().then(() => {
      drained = true;
    });
    expect(names()).toEqual([['a']]);
    void batcher.add(item('b'));
    expect(names()).toEqual([['a'], ['b']]);
    begun[0]?.commit();
    await settle();
    expect(drained).toBe(false);
    begun[1]?.commit();
    await draining;
  });

  it('is drained at once where nothing was added', async () => {
    await heldBatcher().batcher.drain();
  });
});
