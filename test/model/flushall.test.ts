import { Redis } from 'ioredis';
import { expect, it, onTestFinished } from 'vitest';
import { CheckpointWriter, QueuedCheckpointStore } from '../../src/index.js';
import { startRedis } from '../../src/services/redis-server.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { services, testSchema } from '../services.js';

/** A pipeline on a Redis of its own, which may be wiped. */
async function ownPipeline() {
  const redis = await startRedis({ appendOnly: false });
  const { schema, drop } = await testSchema();
  const client = new Redis(redis.url);
  const place = { redis: redis.url, postgres: services().databaseUrl, schema };
  const opened: { close(): Promise<void> }[] = [];
  onTestFinished(async () => {
    for (const one of opened.reverse()) await one.close();
    client.disconnect();
    await redis.stop();
    await drop();
  });
  const opening = <T extends { close(): Promise<void> }>(one: T): T => {
    opened.push(one);
    return one;
  };
  return {
    wipe: () => client.flushall(),
    newStore: () => opening(new QueuedCheckpointStore(place)),
    startWriter: () => opening(new CheckpointWriter(place)).start(),
  };
}

it('what is saved after a FLUSHALL wins over what is stored, for the same store and for a new one', async () => {
  const { wipe, newStore, startWriter } = await ownPipeline();
  await startWriter();
  const store = newStore();
  const checkpoints = [newCheckpoint({ state: 'before' }), newCheckpoint({ state: 'before' })] as const;
  const before = await store.saveBatch(checkpoints, { ack: 'committed' });

  await wipe();
  for (const [index, saver] of [store, newStore()].entries()) {
    const again = await saver.save({ ...checkpoints[index as 0 | 1], state: 'after' });
    expect(again.sequence).toBeGreaterThan(Math.max(...before.map(({ sequence }) => sequence)));
    expect(await again.committed()).toBe('committed');
  }
  const stored = await Promise.all(checkpoints.map(({ id }) => newStore().load(id)));
  expect(stored.map(({ state }) => state)).toEqual(['after', 'after']);
});

it('what is deleted after a FLUSHALL is gone, and what is saved after that is there', async () => {
  const { wipe, newStore, startWriter } = await ownPipeline();
  await startWriter();
  const checkpoint = newCheckpoint({ version: 7 });
  await newStore().save(checkpoint, { ack: 'committed' });

  await wipe();
  const store = newStore();
  await store.delete(checkpoint.id);
  await expect(store.load(checkpoint.id)).rejects.toMatchObject({ code: 'CHECKPOINT_NOT_FOUND' });
  await store.save({ ...checkpoint, version: 0, state: 'after' }, { ack: 'committed' });
  expect((await store.load(checkpoint.id)).state).toBe('after');
});
