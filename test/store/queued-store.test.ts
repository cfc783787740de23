import { describe, expect, it } from 'vitest';
import { PostgresCheckpointStore, QueuedCheckpointStore } from '../../src/index.js';
import { markOf } from '../../src/redis/queue-keys.js';
import { freePort } from '../../src/services/free-port.js';
import { newCheckpoint, newExecution } from '../contract/checkpoints.js';
import { startWriter, testPlace, testStore } from './place.js';

const LATEST = { consistency: 'latest' } as const;

describe('a queued save', () => {
  it('is acknowledged without PostgreSQL', async () => {
    const place = await testPlace();
    const postgres = `postgresql://nobody@127.0.0.1:${await freePort()}/nothing`;
    const checkpoint = newCheckpoint();
    await testStore(place, { postgres }).save(checkpoint);
    await startWriter(place);
    const found = await testStore(place).latest(checkpoint.executionId, LATEST);
    expect(found?.id).toBe(checkpoint.id);
  });

  it('goes straight to PostgreSQL exactly when it has more than maxQueuedBytes', async () => {
    const place = await testPlace();
    const checkpoint = newCheckpoint({ state: 'x'.repeat(1000), timestamp: new Date(0) });
    await testStore(place).save(checkpoint);
    const [jobId] = await place.client.lrange(place.keys.waiting, 0, -1);
    const payload = await place.client.strlen(`${place.keys.payloadPrefix}${jobId}`);
    const { executionId } = checkpoint;
    const bytes = payload - (1 + 2 + 2 + Buffer.byteLength(executionId) + 4 + 4);

    await testStore(place, { maxQueuedBytes: bytes }).save(checkpoint);
    expect(await place.client.llen(place.keys.waiting)).toBe(2);
    await testStore(place, { maxQueuedBytes: bytes - 1 }).save(checkpoint);
    expect(await place.client.llen(place.keys.waiting)).toBe(2);
    expect(await testStore(place).list(executionId)).toHaveLength(1);
  });

  it('has a receipt that says deleted when it was cleared before it was committed', async () => {
    const place = await testPlace();
    const store = testStore(place);
    const checkpoint = newCheckpoint();
    const receipt = await store.save(checkpoint);
    await store.clear(checkpoint.executionId);
    const kept = await store.save(checkpoint);
    await startWriter(place);
    expect(await receipt.committed()).toBe('deleted');
    expect(await kept.committed()).toBe('committed');
  });

  it('does not wait for ever for its commit when the store closes', async () => {
    const store = testStore(await testPlace());
    const receipt = await store.save(newCheckpoint());
    const waiting = Promise.allSettled([receipt.committed(), store.flush()]);
    await store.close();
    for (const result of await waiting) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'CLOSED' } });
    }
  });

  it('comes after a delete even where a clock ahead of that of Redis had numbered what was deleted', async () => {
    const place = await testPlace();
    const store = testStore(place);
    await startWriter(place);
    const checkpoint = newCheckpoint({ version: 3, state: 'from a fast clock' });
    await store.save(checkpoint, { ack: 'committed' });
    await place.pool.query(`UPDATE ${place.schema}.checkpoints SET write_seq = write_seq + 3600000000`);
    await store.delete(checkpoint.id);
    const receipt = await store.save({ ...checkpoint, version: 1, state: 'after the delete' });
    expect(await receipt.committed()).toBe('committed');
    expect((await store.load(checkpoint.id)).state).toBe('after the delete');
  });
});

describe('saveBatch of a queued store', () => {
  it('throws the first error only when every save is acknowledged or refused', async () => {
    const place = await testPlace();
    const executionId = newExecution();
    const store = testStore(place, { maxPendingBytes: 3000 });
    const batch = Array.from({ length: 5 }, () => newCheckpoint({ executionId, state: 'x'.repeat(1000) }));
    await expect(store.saveBatch(batch)).rejects.toMatchObject({ limit: 'maxPendingBytes' });
    await startWriter(place);
    const stored = await store.list(executionId, LATEST);
    expect(stored.map(({ id }) => id).sort()).toEqual(
      batch
        .slice(0, 2)
        .map(({ id }) => id)
        .sort(),
    );
  });
});

describe('consistency of reads', () => {
  it('committed reads what is there and waits for nothing', async () => {
    const store = testStore(await testPlace());
    const { id, executionId } = newCheckpoint();
    await store.save({ id, executionId, nodeName: '', state: 0 });
    expect(await store.latest(executionId)).toBeUndefined();
    expect(await store.list(executionId, { consistency: 'committed' })).toEqual([]);
    await expect(store.load(id)).rejects.toMatchObject({ code: 'CHECKPOINT_NOT_FOUND' });
  });

  it('latest waits for the saves of every store, and sees them when a writer has come', async () => {
    const place = await testPlace();
    const [one, other] = [testStore(place), testStore(place)];
    const executionId = newExecution();
    const saved = [newCheckpoint({ executionId }), newCheckpoint({ executionId })];
    await one.save(saved[0] as (typeof saved)[0]);
    await other.save(saved[1] as (typeof saved)[0]);
    const listing = testStore(place).list(executionId, { ...LATEST, timeoutMs: 20_000 });
    await startWriter(place);
    expect((await listing).map(({ id }) => id).sort()).toEqual(saved.map(({ id }) => id).sort());
  });

  it('latest throws on its timeout, with the number of jobs, and never returns something stale', async () => {
    const place = await testPlace();
    const store = testStore(place);
    const executionId = newExecution();
    await store.save(newCheckpoint({ executionId }));
    await store.save(newCheckpoint({ executionId }));
    const timedOut = { name: 'PendingWritesTimeoutError', code: 'PENDING_WRITES_TIMEOUT', pendingJobs: 2 };
    const options = { ...LATEST, timeoutMs: 500 };
    await expect(store.latest(executionId, options)).rejects.toMatchObject(timedOut);
    await expect(store.list(executionId, options)).rejects.toMatchObject(timedOut);
    await expect(store.load('any', { ...options, executionId })).rejects.toMatchObject(timedOut);
  });

  it('latest waits neither for other executions nor for a mark without a job', async () => {
    const place = await testPlace();
    const store = testStore(place);
    const executionId = newExecution();
    await store.save(newCheckpoint({ executionId: `${executionId} and more` }));
    await place.client.zadd(place.keys.marks, 0, markOf(executionId, 'w-1'));
    expect(await store.latest(executionId, { ...LATEST, timeoutMs: 5000 })).toBeUndefined();
  });

  it('latest needs the execution to load, and another word is refused', async () => {
    const store = testStore(await testPlace());
    const missing = { code: 'INVALID_CHECKPOINT', field: 'executionId' };
    await expect(store.load('a', LATEST)).rejects.toMatchObject(missing);
    const wrong = { consistency: 'newest' } as unknown as typeof LATEST;
    const refused = { code: 'INVALID_CONFIG', field: 'consistency' };
    await expect(store.latest('e', wrong)).rejects.toMatchObject(refused);
    await expect(store.load('a', wrong)).rejects.toMatchObject(refused);
  });
});

describe('flush', () => {
  it('waits for what this store saved, and with an execution for what anybody saved in it', async () => {
    const place = await testPlace();
    const [mine, theirs] = [testStore(place), testStore(place)];
    const executionId = newExecution();
    await mine.save(newCheckpoint());
    await theirs.save(newCheckpoint({ executionId }));
    const flushing = Promise.all([mine.flush(), mine.flush(executionId)]);
    await testStore(place).flush();
    await startWriter(place);
    await flushing;
    expect(await mine.list(executionId)).toHaveLength(1);
  });

  it('waits for thousands of jobs', async () => {
    const place = await testPlace();
    // Every save is a job of its own: on a busy machine that takes longer than the deadline of an agent's save.
    const store = testStore(place, { maxChunkRecords: 1, enqueueTimeoutMs: 60_000 });
    const writer = await startWriter(place, { concurrency: 200 });
    for (let round = 0; round < 3; round++) {
      await store.saveBatch(Array.from({ length: 800 }, () => newCheckpoint()));
    }
    await store.flush();
    expect(writer.stats.records).toBe(2400);
  });
});

describe('options of a queued store', () => {
  const good = { redis: 'redis://127.0.0.1:1', postgres: 'postgresql://127.0.0.1:1/none' };
  it.each([
    ['maxQueuedBytes', 0],
    ['maxQueuedBytes', 1.5],
    ['onQueueUnavailable', 'drop'],
    ['maxChunkRecords', 0],
    ['queue', 'with:colon'],
    ['prefix', ''],
    ['schema', 'secret\0'],
    ['schema', 'pg_secret'],
    ['table', 'x'.repeat(53)],
    ['redis', 'http://user:secret@host'],
    ['redis', 'secret'],
    ['postgres', 'mysql://user:secret@host/db'],
    ['postgres', 7],
  ])('refuses %s of %j by name and without repeating it', (field, value) => {
    const construct = () => new QueuedCheckpointStore({ ...good, [field]: value });
    expect(construct).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG', field }));
    expect(construct).not.toThrow(/secret/);
  });
});

it('a plain store beside the queue on the same table sees what the queue committed, and the other way round', async () => {
  const place = await testPlace();
  const queued = testStore(place);
  const plain = new PostgresCheckpointStore({ postgres: place.postgres, schema: place.schema });
  try {
    await startWriter(place);
    const checkpoint = newCheckpoint({ state: 'queued' });
    await queued.save(checkpoint, { ack: 'committed' });
    expect((await plain.load(checkpoint.id)).state).toBe('queued');
    await plain.save({ ...checkpoint, state: 'plain', version: 2 });
    expect((await queued.load(checkpoint.id)).state).toBe('plain');
    await plain.delete(checkpoint.id);
    await queued.save({ ...checkpoint, state: 'queued again' }, { ack: 'committed' });
    expect((await plain.load(checkpoint.id)).state).toBe('queued again');
  } finally {
    await plain.close();
  }
});

it('a delete that breaks off takes no later saves with it, even where a clock ahead of Redis had numbered what was stored', async () => {
  const place = await testPlace();
  const store = testStore(place);
  await startWriter(place);
  const checkpoint = newCheckpoint();
  await store.save(checkpoint, { ack: 'committed' });
  await place.pool.query(`UPDATE ${place.schema}.checkpoints SET write_seq = write_seq + 3600000000`);
  // The tombstone cannot be settled: the delete breaks off behind it.
  await place.pool.query(
    `CREATE FUNCTION ${place.schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$`,
  );
  await place.pool.query(
    `CREATE TRIGGER refuse BEFORE DELETE ON ${place.schema}.checkpoints FOR EACH ROW EXECUTE FUNCTION ${place.schema}.refuse()`,
  );
  await expect(store.clear(checkpoint.executionId)).rejects.toMatchObject({ code: 'DATABASE' });
  const later = await testStore(place).save({ ...checkpoint, state: 'later' });
  expect(await later.committed()).toBe('committed');
  expect((await store.load(checkpoint.id)).state).toBe('later');
});
