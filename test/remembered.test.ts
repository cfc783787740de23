import { expect, it, vi } from 'vitest';
import { remembered } from '../src/remembered.js';

it('one look serves all who ask while it is fresh, also while it is under way', async () => {
  let answer = (_: number) => {};
  const look = vi.fn(() => new Promise<number>((resolve) => (answer = resolve)));
  const ask = remembered(60_000, look);
  const asked = [ask(), ask()];
  answer(7);
  expect(await Promise.all([...asked, ask()])).toEqual([7, 7, 7]);
  expect(look).toHaveBeenCalledTimes(1);
});

it('what is too old is looked at again, and what failed at once', async () => {
  const look = vi.fn(async () => 7);
  const stale = remembered(0, look);
  await stale();
  await stale();
  expect(look).toHaveBeenCalledTimes(2);

  const failing = vi.fn().mockRejectedValueOnce(new Error('away')).mockResolvedValue(8);
  const ask = remembered(60_000, failing);
  await expect(ask()).rejects.toThrow('away');
  expect(await ask()).toBe(8);
});
