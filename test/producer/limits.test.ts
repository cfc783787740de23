import { Queue } from 'bullmq';
import { describe, expect, it, onTestFinished } from 'vitest';
import { checkLimits, DEFAULT_LIMITS, type ProducerLimits } from '../../src/producer/limits.js';
import { patient } from '../patience.js';
import { startWriter, testPlace } from '../store/place.js';
import { newRecord, testProducer, waitingJobs, waitingSizes } from './producers.js';

describe('limits of a chunk', () => {
  it('has at most maxChunkRecords records', async () => {
    const place = await testPlace();
    const producer = testProducer(place, { maxChunkRecords: 10 });
    await Promise.all(Array.from({ length: 25 }, () => producer.enqueue(newRecord())));
    expect((await waitingSizes(place)).sort((a, b) => b - a)).toEqual([10, 10, 5]);
  });

  it('has at most maxChunkBytes bytes, except where one record has more', async () => {
    const place = await testPlace();
    const maxChunkBytes = 3 * newRecord(1000).byteLength;
    const producer = testProducer(place, { maxChunkBytes });
    const sizes = [1000, 1000, 1000, 1000, 50_000, 1000, 1000];
    const enqueued = await Promise.all(sizes.map((size) => producer.enqueue(newRecord(size))));
    const jobs = [...new Set(enqueued.map(({ jobId }) => jobId))];
    expect(enqueued.map(({ jobId }) => jobs.indexOf(jobId))).toEqual([0, 0, 0, 1, 2, 3, 3]);
  });
});

describe('maxPendingBytes', () => {
  it('rejects what would not fit with BackpressureError, and takes more when Redis has taken it', async () => {
    const place = await testPlace();
    const { byteLength } = newRecord(1000);
    const maxPendingBytes = 2 * byteLength;
    const producer = testProducer(place, { maxPendingBytes });
    const fitting = [producer.enqueue(newRecord(1000)), producer.enqueue(newRecord(1000))];
    await expect(producer.enqueue(newRecord(1000))).rejects.toMatchObject({
      name: 'BackpressureError',
      code: 'BACKPRESSURE',
      limit: 'maxPendingBytes',
      actual: 3 * byteLength,
      maximum: maxPendingBytes,
    });
    await Promise.all(fitting);
    await Promise.all([producer.enqueue(newRecord(1000)), producer.enqueue(newRecord(1000))]);
    expect((await waitingSizes(place)).reduce((sum, size) => sum + size)).toBe(4);
  });

  it('counts what was rejected no longer', async () => {
    const place = await testPlace();
    const { byteLength } = newRecord();
    const producer = testProducer(place, { maxPendingBytes: byteLength, maxQueueDepth: 1 });
    await producer.enqueue(newRecord());
    for (let i = 0; i < 3; i++) {
      await expect(producer.enqueue(newRecord())).rejects.toMatchObject({ limit: 'maxQueueDepth' });
    }
  });
});

describe('maxQueueDepth', () => {
  it('rejects with BackpressureError and leaves nothing in Redis', async () => {
    const place = await testPlace();
    const producer = testProducer(place, { maxQueueDepth: 2 });
    const taken = [await producer.enqueue(newRecord()), await producer.enqueue(newRecord())];
    await expect(producer.enqueue(newRecord())).rejects.toMatchObject({
      name: 'BackpressureError',
      limit: 'maxQueueDepth',
      actual: 2,
      maximum: 2,
    });
    expect(await waitingJobs(place)).toEqual(taken.map(({ jobId }) => jobId));
    expect(await place.client.zcard(place.keys.chunks)).toBe(2);
    expect(await place.client.zcard(place.keys.marks)).toBe(2);
  });

  it('waits for room beyond the deadline of a save, and goes on when a writer drains the queue', async () => {
    const place = await testPlace();
    const limits = { maxQueueDepth: 1, maxChunkRecords: 1, enqueueTimeoutMs: Math.ceil(patient(400)) };
    const waiting = testProducer(place, { ...limits, onQueueFull: 'wait' });
    await waiting.enqueue(newRecord());
    const settled: string[] = [];
    const adding = Array.from({ length: 8 }, () =>
      waiting.enqueue(newRecord()).finally(() => settled.push('settled')),
    );
    // A producer on an address where nobody listens marks the time: its save ends at the same deadline.
    const clock = testProducer(place, limits, 'redis://127.0.0.1:1');
    await expect(clock.enqueue(newRecord())).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    await expect(clock.enqueue(newRecord())).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    expect(settled).toEqual([]);
    expect(await waitingJobs(place)).toHaveLength(1);

    const writer = await startWriter(place);
    await Promise.all(adding);
    await writer.close();
    expect(await waitingJobs(place)).toHaveLength(9 - writer.stats.records);
  });

  it('lets those who wait for room go when the producer closes', async () => {
    const place = await testPlace();
    const producer = testProducer(place, { maxQueueDepth: 1, onQueueFull: 'wait', maxChunkRecords: 1 });
    await producer.enqueue(newRecord());
    const adding = Promise.allSettled([1, 2, 3, 4].map(() => producer.enqueue(newRecord())));
    await producer.close();
    for (const result of await adding) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'CLOSED' } });
    }
    expect(await waitingJobs(place)).toHaveLength(1);
  });

  it.each(['wait', 'paused', 'active', 'delayed', 'prioritized'])(
    'counts jobs that are %s',
    async (state) => {
      const place = await testPlace();
      const key = place.keys.jobPrefix + state;
      if (state === 'delayed' || state === 'prioritized') await place.client.zadd(key, 1, 'a', 2, 'b');
      else await place.client.rpush(key, 'a', 'b');
      const producer = testProducer(place, { maxQueueDepth: 2 });
      await expect(producer.enqueue(newRecord())).rejects.toMatchObject({
        limit: 'maxQueueDepth',
        actual: 2,
      });
      expect(await place.client.zcard(place.keys.chunks)).toBe(0);
    },
  );

  it('counts jobs that BullMQ itself has paused, prioritised, or handed to a worker that does not take them', async () => {
    const place = await testPlace();
    const queue = new Queue(place.queue, { connection: { url: place.redis } });
    onTestFinished(() => queue.close());
    await queue.pause();
    const producer = testProducer(place, { maxQueueDepth: 3 });
    await producer.enqueue(newRecord());
    await queue.add('other', {}, { priority: 3 });
    await queue.add('later', {}, { delay: 3_600_000 });
    await expect(producer.enqueue(newRecord())).rejects.toMatchObject({ limit: 'maxQueueDepth', actual: 3 });
  });

  it('does not matter at 0', async () => {
    const place = await testPlace();
    const producer = testProducer(place, { maxQueueDepth: 0 });
    for (let i = 0; i < 5; i++) await producer.enqueue(newRecord());
    expect(await waitingJobs(place)).toHaveLength(5);
  });
});

describe('checkLimits', () => {
  it.each<[keyof ProducerLimits, unknown]>([
    ['enqueueTimeoutMs', 0],
    ['enqueueTimeoutMs', 300_001],
    ['maxChunkRecords', 0],
    ['maxChunkRecords', 1001],
    ['maxChunkRecords', 1.5],
    ['maxChunkBytes', 0],
    ['maxPendingBytes', Number.NaN],
    ['maxQueueDepth', -1],
    ['onQueueFull', 'drop'],
  ])('refuses %s of %j by name', (field, value) => {
    const limits = { ...DEFAULT_LIMITS, [field]: value };
    expect(() => checkLimits(limits)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG', field }));
  });

  it('takes the defaults and the bounds', () => {
    checkLimits(DEFAULT_LIMITS);
    checkLimits({ ...DEFAULT_LIMITS, enqueueTimeoutMs: 300_000, maxChunkRecords: 1000, maxQueueDepth: 0 });
  });
});
