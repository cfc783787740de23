import { describe, expect, it } from 'vitest';
import { QueuedCheckpointStore } from '../../src/index.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { testPlace, testStore } from './place.js';

describe('a store with a writer of its own', () => {
  it('commits what it saves, and what others have left in the queue', async () => {
    const place = await testPlace();
    const [others, mine] = [newCheckpoint(), newCheckpoint()];
    await testStore(place).save(others);
    const store = testStore(place, { writer: true });
    await store.save(mine, { ack: 'committed' });
    for (const { id, executionId } of [others, mine]) {
      expect(await store.latest(executionId, { consistency: 'latest' })).toMatchObject({ id });
    }
  });

  it('has committed all of it when it is closed', async () => {
    const place = await testPlace();
    const store = testStore(place, { writer: { lingerMs: 50, maxBatchRecords: 10 }, maxChunkRecords: 1 });
    const { executionId } = newCheckpoint();
    await store.saveBatch(Array.from({ length: 40 }, () => newCheckpoint({ executionId })));
    await store.close();
    expect(await testStore(place).list(executionId)).toHaveLength(40);
    expect(await place.client.llen(place.keys.waiting)).toBe(0);
  });

  it('closes also where nobody saved, and twice', async () => {
    const store = testStore(await testPlace(), { writer: true });
    await Promise.all([store.close(), store.close()]);
  });

  it('says what is wrong where its tables cannot be used, and keeps what is queued', async () => {
    const place = await testPlace();
    await place.pool.query(`CREATE TABLE ${place.schema}.checkpoints (id INTEGER)`);
    const { redis, postgres, schema, queue } = place;
    const store = new QueuedCheckpointStore({ redis, postgres, schema, queue, writer: true });
    const untilRefused = async () => {
      for (;;) await store.save(newCheckpoint());
    };
    await expect(untilRefused()).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' });
    await store.close();
    expect(await place.client.zcard(place.keys.chunks)).toBe(await place.client.llen(place.keys.waiting));
  });

  it.each([
    ['writer', 7],
    ['writer', 'yes'],
    ['concurrency', { concurrency: 0 }],
    ['lingerMs', { lingerMs: -1 }],
  ])('refuses %s of %j by name', (field, writer) => {
    const options = { redis: 'redis://127.0.0.1:1', postgres: 'postgresql://127.0.0.1:1/none', writer };
    expect(() => new QueuedCheckpointStore(options as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', field }),
    );
  });
});
