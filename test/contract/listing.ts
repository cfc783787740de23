import { expect, it } from 'vitest';
import type { CheckpointInput, ListOptions } from '../../src/index.js';
import type { StoreUnderTest } from './checkpoint-store.js';
import { newCheckpoint, newExecution } from './checkpoints.js';

export function itLists(underTest: StoreUnderTest): void {
  /** An execution of one checkpoint for each time; the states are their numbers. */
  async function saveAt(...times: number[]): Promise<CheckpointInput[]> {
    const executionId = newExecution();
    const checkpoints = times.map((time, state) =>
      newCheckpoint({ executionId, state, timestamp: new Date(time) }),
    );
    await underTest.save(...checkpoints);
    return checkpoints;
  }
  async function states(checkpoints: CheckpointInput[], options?: ListOptions): Promise<unknown[]> {
    const listed = await underTest.store.list(checkpoints[0]?.executionId as string, options);
    return listed.map(({ state }) => state);
  }

  it('lists an execution oldest first, whatever the order of saving', async () => {
    expect(await states(await saveAt(3000, 1000, 2000, -1000))).toEqual([3, 1, 2, 0]);
  });

  it('lists and ends with the same: by timestamp, then version, then order of saving', async () => {
    const { store, save } = underTest;
    const executionId = newExecution();
    const at = (time: number, version: number, state: string) =>
      newCheckpoint({ executionId, timestamp: new Date(time), version, state });
    await save(at(1000, 9, 'a9'), at(2000, 2, 'b2'), at(2000, 1, 'b1'), at(2000, 2, 'b2 later'));
    const listed = (await store.list(executionId)).map(({ state }) => state);
    expect(listed).toEqual(['a9', 'b1', 'b2', 'b2 later']);
    expect((await store.latest(executionId))?.state).toBe('b2 later');
    await save(at(2000, 1, 'b1 later'));
    expect((await store.latest(executionId))?.state).toBe('b2 later');
  });

  it('puts a checkpoint that is saved again behind those of the same time and version', async () => {
    const checkpoints = await saveAt(1000, 1000, 1000);
    await underTest.save(checkpoints[0] as CheckpointInput);
    expect(await states(checkpoints)).toEqual([1, 2, 0]);
  });

  it('keeps the order of a batch', async () => {
    const { store, settle } = underTest;
    const executionId = newExecution();
    const timestamp = new Date(0);
    const batch = [4, 2, 9, 1].map((state) => newCheckpoint({ executionId, state, timestamp }));
    await store.saveBatch(batch);
    await settle();
    expect(await states(batch)).toEqual([4, 2, 9, 1]);
  });

  it('finds nothing in an execution that nobody saved', async () => {
    expect(await underTest.store.latest(newExecution())).toBeUndefined();
    expect(await underTest.store.list(newExecution())).toEqual([]);
  });

  it('keeps executions apart whose names begin alike', async () => {
    const { store, save } = underTest;
    const executionId = newExecution();
    const others = ['', ' ', '%', '_', '\x01', '/a'].map((end) =>
      newCheckpoint({ executionId: executionId + end }),
    );
    await save(...others);
    for (const other of others) {
      const ids = (await store.list(other.executionId)).map(({ id }) => id);
      expect(ids).toEqual([other.id]);
    }
  });

  it.each([
    [0, []],
    [2, [0, 1]],
    [3, [0, 1, 2]],
    [100, [0, 1, 2]],
  ])('gives the %i oldest with that limit', async (limit, expected) => {
    expect(await states(await saveAt(1000, 2000, 3000), { limit })).toEqual(expected);
  });

  it('takes times as bounds, which are left out themselves', async () => {
    const checkpoints = await saveAt(1000, 1001, 1002, 1003);
    expect(await states(checkpoints, { before: new Date(1002) })).toEqual([0, 1]);
    expect(await states(checkpoints, { after: new Date(1001) })).toEqual([2, 3]);
    expect(await states(checkpoints, { after: new Date(1000), before: new Date(1003) })).toEqual([1, 2]);
    expect(await states(checkpoints, { after: new Date(1000), limit: 1 })).toEqual([1]);
    expect(await states(checkpoints, { after: new Date(1003), before: new Date(1000) })).toEqual([]);
  });

  it.each([-8.64e15, 8.64e15])('takes the furthest dates of JavaScript as bounds: %d', async (time) => {
    const checkpoints = await saveAt(1000, 2000);
    const bound = new Date(time);
    expect(await states(checkpoints, { after: bound })).toEqual(time < 0 ? [0, 1] : []);
    expect(await states(checkpoints, { before: bound })).toEqual(time < 0 ? [] : [0, 1]);
  });

  it('takes ids as bounds, in the order of the list', async () => {
    const checkpoints = await saveAt(1000, 2000, 2000, 2000, 3000);
    const [, first, , third] = checkpoints.map(({ id }) => id);
    expect(await states(checkpoints, { after: first })).toEqual([2, 3, 4]);
    expect(await states(checkpoints, { before: third })).toEqual([0, 1, 2]);
    expect(await states(checkpoints, { after: first, before: third })).toEqual([2]);
    expect(await states(checkpoints, { after: first, before: new Date(3000) })).toEqual([2, 3]);
    expect(await states(checkpoints, { after: third, before: first })).toEqual([]);
  });

  it('pages through all of an execution, each checkpoint once', async () => {
    const checkpoints = await saveAt(1000, 1000, 1000, 500, 2000, 1000, 2000);
    const executionId = checkpoints[0]?.executionId as string;
    const paged: unknown[] = [];
    let after: string | undefined;
    for (;;) {
      const page = await underTest.store.list(executionId, { limit: 2, after });
      paged.push(...page.map(({ state }) => state));
      after = page.at(-1)?.id;
      if (!after) break;
    }
    expect(paged).toEqual([3, 0, 1, 2, 5, 4, 6]);
  });

  it.each(['before', 'after'] as const)(
    'rejects a bound of %s that is not in the execution',
    async (bound) => {
      const [checkpoint] = await saveAt(1000);
      const { id } = newCheckpoint();
      const [other] = await saveAt(1000);
      for (const missing of [id, other?.id as string]) {
        const listed = underTest.store.list(checkpoint?.executionId as string, { [bound]: missing });
        await expect(listed).rejects.toMatchObject({ code: 'CHECKPOINT_NOT_FOUND', id: missing });
      }
    },
  );

  it.each([
    ['a negative limit', { limit: -1 }, 'limit'],
    ['a fractional limit', { limit: 1.5 }, 'limit'],
    ['a limit that is not a number', { limit: Number.NaN }, 'limit'],
    ['an endless limit', { limit: Number.POSITIVE_INFINITY }, 'limit'],
    ['a limit beyond whole numbers', { limit: 1e300 }, 'limit'],
    ['an invalid date before', { before: new Date(Number.NaN) }, 'before'],
    ['an invalid date after', { after: new Date(Number.NaN) }, 'after'],
    ['an empty id before', { before: '' }, 'before'],
    ['an id after with U+0000', { after: 'a\0' }, 'after'],
  ])('refuses %s', async (_, options, field) => {
    const listed = underTest.store.list(newExecution(), options);
    await expect(listed).rejects.toMatchObject({ code: 'INVALID_CHECKPOINT', field });
  });
}
