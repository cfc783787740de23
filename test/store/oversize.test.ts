import { describe, expect, it } from 'vitest';
import { newCheckpoint } from '../contract/checkpoints.js';
import { startWriter, testPlace, testStore } from './place.js';

const oversize = 'x'.repeat(5000);

describe('a checkpoint that is too large for the queue', () => {
  it('comes between the saves before and after it, also when nobody waits for them', async () => {
    const place = await testPlace();
    await startWriter(place);
    const store = testStore(place, { maxQueuedBytes: 2000 });
    const checkpoint = newCheckpoint();
    await store.save(newCheckpoint()); // so that the connection stands: who tries again gives up his place

    const smallFirst = await Promise.all([
      store.save({ ...checkpoint, state: 'small' }),
      store.save({ ...checkpoint, state: oversize }),
    ]);
    await store.flush();
    expect((await store.load(checkpoint.id)).state).toBe(oversize);

    const smallLast = await Promise.all([
      store.save({ ...checkpoint, state: oversize }),
      store.save({ ...checkpoint, state: 'small' }),
    ]);
    await store.flush();
    expect((await store.load(checkpoint.id)).state).toBe('small');
    const sequences = [...smallFirst, ...smallLast].map(({ sequence }) => sequence);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
  });

  it('counts as pending memory: what is above the limit is refused, one alone is not', async () => {
    const place = await testPlace();
    const store = testStore(place, { maxQueuedBytes: 2000, maxPendingBytes: 8000 });
    await store.initSchema();
    const saves = await Promise.allSettled(
      Array.from({ length: 3 }, () => store.save(newCheckpoint({ state: oversize }))),
    );
    expect(saves.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(saves[1]).toMatchObject({ reason: { code: 'BACKPRESSURE', limit: 'maxPendingBytes' } });
    await store.save(newCheckpoint({ state: oversize.repeat(2) }));
  });
});

it('a save that Redis lost after it was acknowledged is reported as lost, and not as superseded or deleted', async () => {
  const place = await testPlace();
  const store = testStore(place);
  await store.initSchema();
  const checkpoint = newCheckpoint();
  const [older, lost] = [newCheckpoint(), newCheckpoint()];
  await testStore(place, { maxQueuedBytes: 1 }).save(older); // committed at once
  const receipts = await store.saveBatch([{ ...older, version: 2 }, lost, checkpoint]);
  const keys = await place.client.keys(`${place.keys.jobPrefix}*`);
  await place.client.unlink(keys);

  for (const receipt of receipts) {
    await expect(receipt.committed()).rejects.toMatchObject({ code: 'SAVE_LOST', id: receipt.id });
  }
});
