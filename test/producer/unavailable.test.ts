import { once } from 'node:events';
import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Producer } from '../../src/producer/producer.js';
import { markOf } from '../../src/redis/queue-keys.js';
import { freePort } from '../../src/services/free-port.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { TcpProxy } from '../faults/tcp-proxy.js';
import { startWriter, testPlace, testStore } from '../store/place.js';
import { newRecord, testProducer, waitingJobs, waitingSizes } from './producers.js';

const UNAVAILABLE = { name: 'QueueUnavailableError', code: 'QUEUE_UNAVAILABLE' };
/** Far beyond the deadlines of these tests, and far below what BullMQ and ioredis would wait. */
const GENEROUS_MS = 5000;

/** Rejects if the work has not settled in time, so that a test says so itself. */
async function soon<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not settled after ${GENEROUS_MS} ms`)), GENEROUS_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function nowhere(): Promise<string> {
  return `redis://127.0.0.1:${await freePort()}`;
}

describe('a producer whose Redis cannot be reached', () => {
  it('rejects at the deadline, what gathered too, and closes', async () => {
    const place = await testPlace();
    const producer = testProducer(place, { enqueueTimeoutMs: 200, maxChunkRecords: 1 }, await nowhere());
    const adding = Array.from({ length: 50 }, () => producer.enqueue(newRecord()));
    const results = await soon(Promise.allSettled(adding));
    for (const result of results) expect(result).toMatchObject({ status: 'rejected', reason: UNAVAILABLE });
    // What one caller makes of its error is not seen by another.
    expect(new Set(results.map((result) => (result as PromiseRejectedResult).reason)).size).toBe(50);
    await expect(soon(producer.nextSequence())).rejects.toMatchObject(UNAVAILABLE);
    await expect(soon(producer.raiseSequence(1))).rejects.toMatchObject(UNAVAILABLE);
    await soon(producer.close());
  });

  it('rejects at the deadline where Redis takes connections and answers nothing', async () => {
    const place = await testPlace();
    const proxy = await TcpProxy.before(place.redis);
    const producer = testProducer(place, { enqueueTimeoutMs: 200 }, proxy.url);
    // On a busy machine, a connection takes longer than the deadline.
    await vi.waitFor(() => producer.enqueue(newRecord()));
    proxy.stall();
    await expect(soon(producer.enqueue(newRecord()))).rejects.toMatchObject(UNAVAILABLE);
    proxy.resume();
    await vi.waitFor(() => producer.enqueue(newRecord()));
    await soon(producer.close());
  });

  it.each<[what: string, call: (producer: Producer) => Promise<unknown>]>([
    ['save', (producer) => producer.enqueue(newRecord())],
    ['direct write', (producer) => producer.nextSequenceInOrder()],
  ])('gives up a connection that stays silent: the next %s goes over a new one', async (_, call) => {
    const place = await testPlace();
    const proxy = await TcpProxy.before(place.redis);
    const producer = testProducer(place, { enqueueTimeoutMs: 300 }, proxy.url);
    await vi.waitFor(() => call(producer));
    proxy.stallConnected();
    await expect(soon(call(producer))).rejects.toMatchObject(UNAVAILABLE);
    await vi.waitFor(() => soon(call(producer)), { timeout: 15_000 });
    await soon(producer.close());
  });

  it('hands the record over when Redis comes back before the deadline', async () => {
    const place = await testPlace();
    const proxy = await TcpProxy.before(place.redis);
    const producer = testProducer(place, { enqueueTimeoutMs: 20_000 }, proxy.url);
    await producer.enqueue(newRecord());
    await proxy.refuse();
    const adding = [producer.enqueue(newRecord()), producer.enqueue(newRecord())];
    await proxy.open();
    const enqueued = await soon(Promise.all(adding));
    expect(await waitingJobs(place)).toEqual(expect.arrayContaining(enqueued.map(({ jobId }) => jobId)));
  });

  it.each([
    ['its numbers', 'ckpt-sequence'],
    ['its job', ':marker'],
  ])('makes one job of a record where the reply to %s was lost', async (_, key) => {
    const place = await testPlace();
    const proxy = await TcpProxy.before(place.redis);
    const producer = testProducer(place, { enqueueTimeoutMs: 20_000 }, proxy.url);
    await producer.enqueue(newRecord());
    const swallowed = proxy.swallowRepliesFrom(key);
    const adding = producer.enqueue(newRecord());
    await swallowed;
    await proxy.refuse();
    await proxy.open();
    const { jobId } = await soon(adding);
    expect(await waitingSizes(place)).toEqual([1, 1]);
    expect((await waitingJobs(place)).at(-1)).toBe(jobId);
  });

  it('restores what a Redis has lost of a record whose job it took', async () => {
    const place = await testPlace();
    const proxy = await TcpProxy.before(place.redis);
    const producer = testProducer(place, { enqueueTimeoutMs: 20_000 }, proxy.url);
    const swallowed = proxy.swallowRepliesFrom(':marker');
    const record = newRecord();
    const adding = producer.enqueue(record);
    await swallowed;
    const { client, keys } = place;
    const [jobId] = await waitingJobs(place);
    expect(await client.del(keys.payloadPrefix + jobId, keys.marks, keys.chunks)).toBe(3);
    await proxy.refuse();
    await proxy.open();
    expect((await soon(adding)).jobId).toBe(jobId);
    expect(await waitingSizes(place)).toEqual([1]);
    const destination = { sink: 'checkpoints', target: `${place.schema}.checkpoints` };
    expect(await client.zrange(keys.marks, 0, '-1')).toEqual([
      markOf(record.executionId, jobId as string, destination),
    ]);
  });
});

it('a job that is added again keeps its payload, though a worker that was done with it removes that in between', async () => {
  const place = await testPlace();
  const { client, keys } = place;
  const proxy = await TcpProxy.before(place.redis);
  const connection = new Redis(proxy.url, { enableOfflineQueue: false, retryStrategy: () => 20 });
  connection.on('error', () => {});
  onTestFinished(() => connection.disconnect());
  await once(connection, 'ready');
  const producer = testProducer(place, { enqueueTimeoutMs: 20_000 }, connection);
  const swallowed = proxy.swallowRepliesFrom(':marker');
  const adding = producer.enqueue(newRecord());
  await swallowed;
  const [jobId] = (await waitingJobs(place)) as [string];
  await client.unlink(keys.jobPrefix + jobId, keys.waiting);
  const send = connection.eval.bind(connection) as (...args: unknown[]) => Promise<unknown>;
  let reservations = 0;
  vi.spyOn(connection, 'eval').mockImplementation(async (...args: unknown[]) => {
    const reply = await send(...args);
    if (++reservations === 1) await client.unlink(keys.payloadPrefix + jobId);
    return reply;
  });
  await proxy.refuse();
  await proxy.open();
  expect((await soon(adding)).jobId).toBe(jobId);
  expect(await waitingSizes(place)).toEqual([1]);
  expect(reservations).toBe(2);
});

describe('a queued store whose Redis cannot be reached', () => {
  it('rejects saves, deletes and reads of the latest, and goes on reading what is committed', async () => {
    const place = await testPlace();
    const checkpoint = newCheckpoint();
    await testStore(place, { maxQueuedBytes: 1 }).save(checkpoint);
    const store = testStore(place, { redis: await nowhere(), enqueueTimeoutMs: 200 });
    const { id, executionId } = checkpoint;
    const attempts: Array<() => Promise<unknown>> = [
      () => store.save(newCheckpoint({ executionId })),
      () => store.saveBatch([newCheckpoint({ executionId })]),
      () => store.delete(id),
      () => store.clear(executionId),
      () => store.latest(executionId, { consistency: 'latest', timeoutMs: 200 }),
    ];
    for (const attempt of attempts) {
      await expect(soon(attempt())).rejects.toMatchObject(UNAVAILABLE);
    }
    expect((await store.list(executionId)).map((listed) => listed.id)).toEqual([id]);
    await soon(store.close());
  });

  it('writes through to PostgreSQL where it is told to, at once when it knows', async () => {
    const place = await testPlace();
    // Only the first save waits for the deadline; a second one that did would be late.
    const enqueueTimeoutMs = GENEROUS_MS - 1000;
    const options = {
      redis: await nowhere(),
      onQueueUnavailable: 'write-through',
      enqueueTimeoutMs,
    } as const;
    const store = testStore(place, options);
    const checkpoint = newCheckpoint({ state: 'first' });
    const receipts = [await soon(store.save(checkpoint))];
    receipts.push(await soon(store.save({ ...checkpoint, state: 'second' })));
    receipts.push(await soon(store.save({ ...checkpoint, state: 'third', version: 0 })));
    expect(await Promise.all(receipts.map((receipt) => receipt.committed()))).toEqual([
      'committed',
      'committed',
      'superseded',
    ]);
    const sequences = receipts.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    expect((await store.load(checkpoint.id)).state).toBe('second');
    await soon(store.close());
  });

  it('queues again when Redis is back, and a save written through is not overwritten by an older one', async () => {
    const place = await testPlace();
    const proxy = await TcpProxy.before(place.redis);
    const options = { redis: proxy.url, onQueueUnavailable: 'write-through', enqueueTimeoutMs: 300 } as const;
    const store = testStore(place, options);
    const checkpoint = newCheckpoint({ state: 'queued' });
    await store.save(checkpoint);
    await proxy.refuse();
    await soon(store.save({ ...checkpoint, state: 'written through' }));
    await startWriter(place);
    await proxy.open();
    await store.flush();
    expect((await store.load(checkpoint.id)).state).toBe('written through');
    await store.save({ ...checkpoint, state: 'queued again' }, { ack: 'committed' });
    expect((await store.load(checkpoint.id)).state).toBe('queued again');
  });
});
