import { expect, it, onTestFinished, vi } from 'vitest';
import { Maintenance } from '../../src/writer/maintenance.js';

function maintenance(run: () => Promise<unknown>, onError = vi.fn()) {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  return new Maintenance([{ intervalMs: 1000, run }], onError);
}

it('runs a chore at its interval, counted from the end of the run before', async () => {
  let finish = () => {};
  const run = vi.fn(() => new Promise<void>((resolve) => (finish = resolve)));
  const chores = maintenance(run);
  chores.start();
  await vi.advanceTimersByTimeAsync(999);
  expect(run).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(5000);
  expect(run).toHaveBeenCalledOnce();
  finish();
  await vi.advanceTimersByTimeAsync(1000);
  expect(run).toHaveBeenCalledTimes(2);
  finish();
  await chores.stop();
});

it('goes on after a failure, which is told', async () => {
  const run = vi.fn().mockRejectedValue(new Error('away'));
  const onError = vi.fn();
  const chores = maintenance(run, onError);
  chores.start();
  await vi.advanceTimersByTimeAsync(2500);
  expect([run.mock.calls.length, onError.mock.calls.length]).toEqual([2, 2]);
  await chores.stop();
});

it('begins nothing once it is stopped, and stops only when nothing is under way', async () => {
  let finish = () => {};
  const run = vi.fn(() => new Promise<void>((resolve) => (finish = resolve)));
  const chores = maintenance(run);
  chores.start();
  await vi.advanceTimersByTimeAsync(1000);
  let stopped = false;
  const stopping = chores.stop().then(() => {
    stopped = true;
  });
  await vi.advanceTimersByTimeAsync(5000);
  expect(stopped).toBe(false);
  finish();
  await stopping;
  await vi.advanceTimersByTimeAsync(5000);
  expect(run).toHaveBeenCalledOnce();
});
