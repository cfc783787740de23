import { describe, expect, it } from 'vitest';
import { CheckpointRecorder, type CheckpointStore } from '../../src/index.js';
import { newCheckpoint, newExecution } from '../contract/checkpoints.js';
import { STORES, testRecorder } from './recorders.js';

const versions = (listed: { version: number }[]) => listed.map(({ version }) => version);
const nodes = (listed: { nodeName: string }[]) => listed.map(({ nodeName }) => nodeName);

describe.each(STORES)('CheckpointRecorder on a %s', (_, open) => {
  /** A recorder of a run that was recorded before: nodes a, b, c, their states 1, 2, 3. */
  async function recordedBefore(): Promise<{ store: CheckpointStore; executionId: string; ids: string[] }> {
    const store = await open();
    const former = testRecorder({ store });
    const ids: string[] = [];
    for (const [index, node] of ['a', 'b', 'c'].entries())
      ids.push((await former.save(node, { step: index + 1 })).id);
    await former.close();
    return { store, executionId: former.executionId, ids };
  }

  it('saves after each node without being waited for, in the order of the calls', async () => {
    const recorder = testRecorder({ store: await open(), executionId: newExecution() });
    for (let step = 1; step <= 20; step++) recorder.afterNode(`node ${step}`, { step });

    const listed = await recorder.list();

    expect(versions(listed)).toEqual(listed.map((_, index) => index + 1));
    expect(listed.map(({ state }) => state)).toEqual(Array.from({ length: 20 }, (_, i) => ({ step: i + 1 })));
    expect(listed[4]).toMatchObject({
      executionId: recorder.executionId,
      nodeName: 'node 5',
      metadata: { execution_id: recorder.executionId, source: 'auto' },
    });
  });

  it('takes each state as it is at the call', async () => {
    const recorder = testRecorder({ store: await open(), executionId: newExecution() });
    const state = { messages: ['first'] };
    const saving = recorder.save('by hand', state);
    recorder.afterNode('in the background', state);
    const updating = recorder.updateState(state, 'update');
    state.messages.push('too late');
    await Promise.all([saving, updating]);

    expect((await recorder.list()).map(({ state }) => state)).toEqual(Array(3).fill({ messages: ['first'] }));
  });

  it('gives state, node and version to go on from, in another recorder', async () => {
    const { store, executionId } = await recordedBefore();
    const recorder = testRecorder<{ step: number }>({ store, executionId });

    const resumed = await recorder.resume();

    expect(resumed).toMatchObject({ state: { step: 3 }, nodeName: 'c', version: 3 });
    expect(resumed?.checkpoint).toEqual(await recorder.latest());
    await recorder.save('d', { step: 4 });
    expect(await recorder.resume()).toMatchObject({ state: { step: 4 }, nodeName: 'd', version: 4 });
  });

  it('counts the versions up from what is stored, whether one has resumed or not', async () => {
    const { store, executionId } = await recordedBefore();
    const recorder = testRecorder({ store, executionId });
    recorder.afterNode('d', {});
    recorder.afterNode('e', {});

    expect(versions(await recorder.list())).toEqual([1, 2, 3, 4, 5]);
    expect(nodes(await recorder.list())).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('goes back to a checkpoint by its id; what is saved then is the newest all the same', async () => {
    const { store, executionId, ids } = await recordedBefore();
    const recorder = testRecorder({ store, executionId });

    const resumed = await recorder.resume(ids[0] as string);

    expect(resumed).toMatchObject({ state: { step: 1 }, nodeName: 'a', version: 1 });
    await recorder.save('another b', {});
    expect(await recorder.latest()).toMatchObject({ nodeName: 'another b', version: 4 });
  });

  it('has nothing to resume from in a run that nobody recorded, and says so of an id', async () => {
    const { store, ids } = await recordedBefore();
    const recorder = testRecorder({ store });

    expect(await recorder.resume()).toBeUndefined();
    expect(await recorder.latest()).toBeUndefined();
    const notFound = { code: 'CHECKPOINT_NOT_FOUND' };
    await expect(recorder.resume(newCheckpoint().id)).rejects.toMatchObject(notFound);
    await expect(recorder.resume(ids[0] as string), 'of another execution').rejects.toMatchObject(notFound);
  });

  it('is not led astray by a clock that was ahead', async () => {
    const store = await open();
    const ahead = newCheckpoint({ version: 7, timestamp: new Date(Date.now() + 3_600_000) });
    await store.save(ahead, { ack: 'committed' });
    const recorder = testRecorder({ store, executionId: ahead.executionId });
    recorder.afterNode('next', {});

    expect(await recorder.resume()).toMatchObject({ nodeName: 'next', version: 8 });
  });

  it('merges an update into the newest state, as the node that it is told', async () => {
    const recorder = testRecorder({ store: await open() });
    recorder.afterNode('plan', { goal: 'g', nested: { a: 1 } });
    await recorder.updateState({ approved: true, nested: { b: 2 } }, 'human');

    expect(await recorder.resume()).toMatchObject({ nodeName: 'human', version: 2 });
    expect((await recorder.resume())?.state).toEqual({ goal: 'g', nested: { b: 2 }, approved: true });
  });

  it('lets a reducer make the new state, from undefined at first', async () => {
    const recorder = testRecorder<string[]>({ store: await open() });
    const append = (state: string[] = [], values: string[]) => [...state, ...values];
    await recorder.updateState(['a'], 'human', append);
    await recorder.updateState(['b', 'c'], 'human', append);

    expect((await recorder.resume())?.state).toEqual(['a', 'b', 'c']);
  });

  it('loses none of many updates at once, nor what is saved between them', async () => {
    const recorder = testRecorder<Record<string, number>>({
      store: await open(),
      executionId: newExecution(),
    });
    const updates = Array.from({ length: 5 }, (_, n) => recorder.updateState({ [`a${n}`]: n }, 'human'));
    recorder.afterNode('agent', { agent: 1 });
    updates.push(...Array.from({ length: 5 }, (_, n) => recorder.updateState({ [`b${n}`]: n }, 'human')));
    await Promise.all(updates);

    const listed = await recorder.list();
    expect(versions(listed)).toEqual(listed.map((_, index) => index + 1));
    expect(listed[4]?.state).toEqual({ a0: 0, a1: 1, a2: 2, a3: 3, a4: 4 });
    expect(listed[5]?.state).toEqual({ agent: 1 });
    expect(listed[10]?.state).toEqual({ agent: 1, b0: 0, b1: 1, b2: 2, b3: 3, b4: 4 });
  });

  it('clears its execution, what is under way included, and goes on after it', async () => {
    const { store, executionId, ids } = await recordedBefore();
    const other = newCheckpoint();
    await store.save(other, { ack: 'committed' });
    const recorder = testRecorder({ store, executionId });
    for (let step = 0; step < 50; step++) recorder.afterNode('d', {});
    await recorder.clear();

    expect(await recorder.list()).toEqual([]);
    await expect(recorder.resume(ids[0] as string)).rejects.toMatchObject({ code: 'CHECKPOINT_NOT_FOUND' });
    recorder.afterNode('anew', {});
    expect(nodes(await recorder.list())).toEqual(['anew']);
    expect((await store.load(other.id)).id).toBe(other.id);
  });

  it('finishes what was begun before close, and refuses what comes after it', async () => {
    const store = await open();
    const failures: unknown[] = [];
    const recorder = testRecorder({ store, onError: (error) => failures.push(error) });
    for (let step = 0; step < 10; step++) recorder.afterNode(`${step}`, { step });
    const updating = recorder.updateState({ updated: true }, 'human');
    await Promise.all([recorder.close(), recorder.close()]);
    await updating;

    const listed = await store.list(recorder.executionId, { consistency: 'latest' });
    expect(listed).toHaveLength(11);
    expect(listed.at(-1)?.state).toEqual({ step: 9, updated: true });
    const closed = { name: 'ClosedError', code: 'CLOSED' };
    const calls = [
      () => recorder.save('late', {}),
      () => recorder.updateState({}, 'late'),
      () => recorder.list(),
      () => recorder.latest(),
      () => recorder.resume(),
      () => recorder.clear(),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject(closed);
    expect(failures).toEqual([]);
    recorder.afterNode('late', {});
    expect(failures).toMatchObject([closed]);
    expect(
      await store.list(recorder.executionId, { consistency: 'latest' }),
      'the store is open',
    ).toHaveLength(11);
  });

  it('keeps only the newest checkpoints, those of former recorders included', async () => {
    const store = await open();
    const former = testRecorder({ store });
    const { executionId } = former;
    for (let step = 0; step < 150; step++) former.afterNode(`${step}`, { step });
    await former.close();
    const recorder = testRecorder({ store, executionId, maxCheckpoints: 4 });
    recorder.afterNode('a', {});
    await recorder.close();
    expect(nodes(await store.list(executionId))).toEqual(['147', '148', '149', 'a']);

    const next = testRecorder({ store, executionId, maxCheckpoints: 2 });
    for (let step = 0; step < 50; step++) next.afterNode(`${step}`, { step });
    await next.close();
    expect(nodes(await store.list(executionId))).toEqual(['48', '49']);
  });
});

it('records a new run of its own where it is told none', async () => {
  const [, open] = STORES[0] as (typeof STORES)[0];
  const store = await open();
  const [one, other] = [new CheckpointRecorder({ store }), new CheckpointRecorder({ store })];
  expect(one.executionId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
  expect(other.executionId).not.toBe(one.executionId);
});
