import { expect, it, vi } from 'vitest';
import { newCheckpoint } from '../contract/checkpoints.js';
import { testPlace, testStore } from './place.js';

const LIMITED = { maxPendingBytes: 4000 };
const REFUSED = { code: 'BACKPRESSURE', limit: 'maxPendingBytes' };
const text = 'x'.repeat(3000);

it('a save for which there is no memory is refused before its state is serialised', async () => {
  const store = testStore(await testPlace(), LIMITED);
  const toJSON = vi.fn(() => text);
  const first = store.save(newCheckpoint({ state: text }));
  const second = store.save(newCheckpoint({ state: { text, toJSON } }));
  await expect(second).rejects.toMatchObject(REFUSED);
  expect(toJSON).not.toHaveBeenCalled();
  await first;
  await store.save(newCheckpoint({ state: { text, toJSON } }));
});

it.each(['save', 'saveBatch'] as const)(
  'what a refused %s has serialised counts no longer as pending memory',
  async (method) => {
    const store = testStore(await testPlace(), LIMITED);
    const bad = newCheckpoint({ metadata: { text }, state: { big: 1n } });
    const saving =
      method === 'save' ? store.save(bad) : store.saveBatch([newCheckpoint({ state: text }), bad]);
    await expect(saving).rejects.toMatchObject({ code: 'INVALID_CHECKPOINT' });
    await store.save(newCheckpoint({ state: text }));
  },
);

it.each([
  ['an ASCII text, as long as its bytes', 'x', 3],
  ['a text with one other character, as V8 keeps it, two bytes a character', '→', 1],
])('of %s counts as pending memory', async (_, last, fitting) => {
  const store = testStore(await testPlace(), { maxPendingBytes: 10_000 });
  const saves = Array.from({ length: 4 }, () =>
    store.save(newCheckpoint({ state: 'x'.repeat(2700) + last })),
  );
  const ends = await Promise.allSettled(saves);
  expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(fitting);
});

it('one save alone may be larger than maxPendingBytes', async () => {
  const store = testStore(await testPlace(), { maxPendingBytes: 100 });
  await store.save(newCheckpoint({ state: text }));
});
