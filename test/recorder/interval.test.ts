import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { MemoryCheckpointStore } from '../../src/index.js';
import { newExecution } from '../contract/checkpoints.js';
import { testRecorder } from './recorders.js';

// No service takes part here: the clock may be ours.
beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const INTERVAL_MS = 1000;

function recorded() {
  const store = new MemoryCheckpointStore();
  const recorder = testRecorder({
    store,
    executionId: newExecution(),
    autoSave: false,
    saveIntervalMs: INTERVAL_MS,
  });
  const saved = async () => (await store.list(recorder.executionId)).map(({ state }) => state);
  return { store, recorder, saved };
}

it('saves the first state at once and then the newest of each interval', async () => {
  const { recorder, saved } = recorded();
  for (let step = 0; step < 10; step++) {
    recorder.afterNode('node', step);
    await vi.advanceTimersByTimeAsync(INTERVAL_MS / 4);
  }
  // At 0, 1000 and 2000 ms; steps are 250 ms apart, and the timer comes before the step of the same time.
  expect(await saved()).toEqual([0, 3, 7]);
});

it('saves the newest state when the interval is over, without another call', async () => {
  const { recorder, saved } = recorded();
  recorder.afterNode('node', 'first');
  recorder.afterNode('node', 'dropped');
  recorder.afterNode('node', 'newest');
  await vi.advanceTimersByTimeAsync(INTERVAL_MS - 1);
  expect(await saved()).toEqual(['first']);
  await vi.advanceTimersByTimeAsync(1);
  expect(await saved()).toEqual(['first', 'newest']);
});

it('saves at once what comes when an interval has passed in silence, and has no timer until then', async () => {
  const { recorder, saved } = recorded();
  recorder.afterNode('node', 1);
  await vi.advanceTimersByTimeAsync(0);
  expect(vi.getTimerCount()).toBe(0);
  await vi.advanceTimersByTimeAsync(INTERVAL_MS);
  recorder.afterNode('node', 2);
  await vi.advanceTimersByTimeAsync(0);
  expect(await saved()).toEqual([1, 2]);
});

it('saves what waits at close, as it was at the call, and leaves no timer', async () => {
  const { recorder, saved } = recorded();
  const state = { step: 1 };
  recorder.afterNode('node', state);
  state.step = 2;
  recorder.afterNode('node', state);
  state.step = 3;
  await recorder.close();
  expect(await saved()).toEqual([{ step: 1 }, { step: 2 }]);
  expect(vi.getTimerCount()).toBe(0);
});

it('saves what waits before a save by hand, an update, a read and a clear', async () => {
  const { recorder, saved } = recorded();
  const given = (state: unknown) => {
    recorder.afterNode('node', { before: 0 });
    recorder.afterNode('node', state);
  };
  given({ a: 1 });
  await recorder.save('by hand', { b: 1 });
  expect(await saved()).toEqual([{ before: 0 }, { a: 1 }, { b: 1 }]);
  given({ c: 1 });
  await recorder.updateState({ d: 1 }, 'human');
  expect((await saved()).slice(3)).toEqual([{ c: 1 }, { c: 1, d: 1 }]);
  given({ e: 1 });
  expect((await recorder.latest())?.state).toEqual({ e: 1 });
  given({ f: 1 });
  expect((await recorder.list()).at(-1)?.state).toEqual({ f: 1 });
  given({ g: 1 });
  expect((await recorder.resume())?.state).toEqual({ g: 1 });
  given({ h: 1 });
  await recorder.clear();
  await vi.advanceTimersByTimeAsync(INTERVAL_MS);
  expect(await saved()).toEqual([]);
});

it('waits a whole interval after a save by hand of what waited', async () => {
  const { recorder, saved } = recorded();
  recorder.afterNode('node', 1);
  recorder.afterNode('node', 2);
  await vi.advanceTimersByTimeAsync(INTERVAL_MS / 2);
  await recorder.latest();
  recorder.afterNode('node', 3);
  await vi.advanceTimersByTimeAsync(INTERVAL_MS - 1);
  expect(await saved()).toEqual([1, 2]);
  await vi.advanceTimersByTimeAsync(1);
  expect(await saved()).toEqual([1, 2, 3]);
});
