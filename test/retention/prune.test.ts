import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { PostgresCheckpointStore, type PruneOptions, type QueuedCheckpointStore } from '../../src/index.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { daily, days, saveLongAgo, storedIds, tombstones, waitsFor } from './rows.js';

let place: Place;
let plain: PostgresCheckpointStore;
let store: QueuedCheckpointStore;
beforeEach(async () => {
  place = await testPlace();
  plain = new PostgresCheckpointStore({ postgres: place.postgres, schema: place.schema });
  onTestFinished(() => plain.close());
  await plain.initSchema();
  store = testStore(place);
});

const DONE = { interrupted: false, heldBack: 0 };

describe.each(['plain', 'queued'] as const)('the %s store', (kind) => {
  const prune = (options: PruneOptions) => (kind === 'plain' ? plain : store).prune(options);

  it('keeps the newest of each execution', async () => {
    await plain.saveBatch([...daily('a', 5), ...daily('b', 2), ...daily('c', 3)]);
    expect(await prune({ keepLast: 2 })).toEqual({ ...DONE, pruned: 4 });
    expect(await storedIds(place)).toEqual(['a:4', 'a:5', 'b:1', 'b:2', 'c:2', 'c:3']);
  });

  it('removes what is older, and may leave nothing of an execution', async () => {
    await plain.saveBatch([...daily('a', 5), ...daily('b', 2)]);
    expect(await prune({ olderThan: days(2.5) })).toEqual({ ...DONE, pruned: 3 });
    expect(await storedIds(place)).toEqual(['a:4', 'a:5', 'b:1', 'b:2']);
    expect(await prune({ olderThan: 0 })).toMatchObject({ pruned: 4 });
  });

  it('with both, removes only what is older and not among the newest', async () => {
    await plain.saveBatch([...daily('a', 9), ...daily('b', 5)]);
    expect(await prune({ keepLast: 4, olderThan: days(7.5) })).toEqual({ ...DONE, pruned: 2 });
    expect(await prune({ keepLast: 4, olderThan: days(1.5) })).toEqual({ ...DONE, pruned: 4 });
    expect(await storedIds(place)).toEqual(['a:6', 'a:7', 'a:8', 'a:9', 'b:2', 'b:3', 'b:4', 'b:5']);
  });

  it('touches only the given execution', async () => {
    await plain.saveBatch([...daily('a', 3), ...daily('b', 3)]);
    expect(await prune({ keepLast: 1, executionId: 'b' })).toEqual({ ...DONE, pruned: 2 });
    expect(await storedIds(place)).toEqual(['a:1', 'a:2', 'a:3', 'b:3']);
    expect(await prune({ keepLast: 1, executionId: 'none' })).toEqual({ ...DONE, pruned: 0 });
  });

  it('counts in a rehearsal what it would remove, and removes nothing', async () => {
    await plain.saveBatch([...daily('a', 5), ...daily('b', 2)]);
    const before = await storedIds(place);
    expect(await prune({ keepLast: 1, olderThan: days(1.5), dryRun: true })).toEqual({ ...DONE, pruned: 5 });
    expect(await storedIds(place)).toEqual(before);
    expect(await tombstones(place)).toBe(0);
  });

  it('orders as a list does: by time, version, order of saving', async () => {
    const timestamp = new Date();
    const row = (id: string, version = 1) => ({
      id,
      executionId: 'a',
      nodeName: '',
      state: 1,
      version,
      timestamp,
    });
    for (const one of [row('newest', 2), row('z'), row('a'), row('m')]) await plain.save(one);
    const inOrder = (await plain.list('a')).map(({ id }) => id);
    expect(inOrder).toEqual(['z', 'a', 'm', 'newest']);
    await prune({ keepLast: 2 });
    expect(await storedIds(place)).toEqual(inOrder.slice(2));
  });

  it('works in batches of a thousand rows, of one execution and over many', async () => {
    const many = Array.from({ length: 700 }, (_, index) =>
      daily(`many-${String(index).padStart(3, '0')}`, 4),
    ).flat();
    await plain.saveBatch([...daily('one', 3_500), ...many]);
    const steps: number[] = [];
    const result = await prune({ keepLast: 1, onProgress: ({ pruned }) => steps.push(pruned) });
    expect(result).toEqual({ ...DONE, pruned: 3_499 + 2_100 });
    const sizes = steps.map((sum, index) => sum - (steps[index - 1] ?? 0));
    expect(Math.max(...sizes)).toBe(1000);
    expect(sizes.length).toBeLessThan(10);
    expect(await storedIds(place)).toHaveLength(701);
  });

  it('stops between two batches when it is told to', async () => {
    await plain.saveBatch(daily('a', 3_001));
    const stop = new AbortController();
    const result = await prune({ keepLast: 1, signal: stop.signal, onProgress: () => stop.abort() });
    expect(result).toEqual({ pruned: 1000, heldBack: 0, interrupted: true });
    expect(await storedIds(place)).toHaveLength(2_001);
    expect(await prune({ keepLast: 1, signal: stop.signal })).toMatchObject({ pruned: 0, interrupted: true });
  });

  it.each<[string, unknown]>([
    ['keepLast', {}],
    ['keepLast', { keepLast: 0 }],
    ['keepLast', { keepLast: 1.5 }],
    ['olderThan', { olderThan: -1 }],
    ['olderThan', { keepLast: 1, olderThan: '30d' }],
    ['executionId', { keepLast: 1, executionId: '' }],
    ['"executionID"', { keepLast: 1, executionID: 'a' }],
    ['options', undefined],
  ])('names the field %s of %j', async (field, options) => {
    await plain.save({ id: 'a', executionId: 'a', nodeName: '', state: 1 });
    await expect(prune(options as PruneOptions)).rejects.toMatchObject({ field });
    expect(await storedIds(place)).toEqual(['a']);
  });
});

it('does not count what a delete is about to remove among the newest', async () => {
  await plain.saveBatch(daily('a', 4));
  await place.pool.query(
    `INSERT INTO ${place.schema}.checkpoints_tombstones (scope, key, fence, settled)
     SELECT 'checkpoint', id, write_seq, false FROM ${place.schema}.checkpoints WHERE id = 'a:4'`,
  );
  expect((await plain.list('a')).map(({ id }) => id)).toEqual(['a:1', 'a:2', 'a:3']);
  expect(await plain.prune({ keepLast: 2 })).toMatchObject({ pruned: 1 });
  expect((await plain.list('a')).map(({ id }) => id)).toEqual(['a:2', 'a:3']);
});

it('passes over rows that somebody has locked', async () => {
  await plain.saveBatch(daily('a', 5));
  const rival = await place.pool.connect();
  onTestFinished(() => rival.release());
  await rival.query(`BEGIN; SELECT FROM ${place.schema}.checkpoints WHERE id = 'a:2' FOR UPDATE`);
  expect(await plain.prune({ keepLast: 1 })).toMatchObject({ pruned: 3 });
  await rival.query('ROLLBACK');
  expect(await storedIds(place)).toEqual(['a:2', 'a:5']);
});

it.each(['write_seq = write_seq + 1', 'version = version + 1', 'timestamp = now()'])(
  'what is written anew between being seen and being removed stays: %s',
  async (change) => {
    await plain.saveBatch(daily('a', 5));
    const table = `${place.schema}.checkpoints`;
    const rival = await place.pool.connect();
    onTestFinished(() => rival.release());
    await rival.query(`BEGIN; LOCK TABLE ${table} IN SHARE MODE`);
    const pruning = plain.prune({ keepLast: 1 });
    await expect.poll(() => waitsFor(place, table)).toBe(true);
    await rival.query(`UPDATE ${table} SET ${change} WHERE id = 'a:2'; COMMIT`);
    expect(await pruning).toMatchObject({ pruned: 3 });
    expect((await storedIds(place)).sort()).toEqual(['a:2', 'a:5']);
  },
);

it('leaves tombstones only of what was saved lately, for a receipt tells then that it was deleted', async () => {
  await startWriter(place);
  await store.saveBatch(daily('old', 5), { ack: 'committed' });
  await saveLongAgo(place);
  expect(await store.prune({ keepLast: 1 })).toEqual({ ...DONE, pruned: 4 });
  expect(await tombstones(place)).toBe(0);
  const [receipt] = await store.saveBatch(daily('young', 3));
  await store.flush();
  await expect.poll(() => store.prune({ keepLast: 1 }).then(({ heldBack }) => heldBack)).toBe(0);
  expect(await tombstones(place)).toBe(2);
  expect(await receipt?.committed()).toBe('deleted');
  expect(await storedIds(place)).toEqual(['old:5', 'young:3']);
});

it('two at once remove everything once', async () => {
  await plain.saveBatch(daily('a', 5_000));
  const results = await Promise.all([
    store.prune({ keepLast: 10 }),
    testStore(place).prune({ keepLast: 10 }),
  ]);
  expect(results.reduce((sum, { pruned }) => sum + pruned, 0)).toBe(4_990);
  expect(await storedIds(place)).toEqual(
    daily('a', 5_000)
      .slice(-10)
      .map(({ id }) => id),
  );
});
