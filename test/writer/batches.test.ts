import { describe, expect, it } from 'vitest';
import type { BatchEvent, CheckpointWriter } from '../../src/index.js';
import { readCounters } from '../../src/redis/counters.js';
import { newCheckpoint, newExecution } from '../contract/checkpoints.js';
import { type Place, startWriter, testPlace, testStore, testWriter } from '../store/place.js';

/** Fills the queue with chunks of ten, before there is a writer. */
async function fillQueue(place: Place, chunks: number): Promise<string> {
  const store = testStore(place, { maxChunkRecords: 10 });
  const executionId = newExecution();
  await store.saveBatch(Array.from({ length: 10 * chunks }, () => newCheckpoint({ executionId })));
  return executionId;
}

function eventsOf(writer: CheckpointWriter): BatchEvent[] {
  const events: BatchEvent[] = [];
  writer.on('batch', (event) => events.push(event));
  return events;
}

async function drained(place: Place, executionId: string): Promise<void> {
  await testStore(place).flush(executionId);
}

function sum(events: readonly BatchEvent[], field: Exclude<keyof BatchEvent, 'lags'>): number {
  return events.reduce((total, event) => total + event[field], 0);
}

describe('CheckpointWriter', () => {
  it('counts a batch as committed although a listener of `batch` throws', async () => {
    const place = await testPlace();
    const executionId = await fillQueue(place, 1);
    const writer = testWriter(place);
    let heard = 0;
    writer.on('batch', () => {
      heard++;
      throw new Error('of the listener');
    });
    await writer.start();
    await drained(place, executionId);
    expect(heard).toBe(1);
    expect(writer.stats).toMatchObject({ batches: 1, records: 10, committed: 10 });
  });

  it('commits many chunks in few transactions', async () => {
    const place = await testPlace();
    const executionId = await fillQueue(place, 100);
    const writer = testWriter(place, { lingerMs: 50 });
    const events = eventsOf(writer);
    await writer.start();
    await drained(place, executionId);
    expect(events.length).toBeLessThan(20);
    expect([sum(events, 'records'), sum(events, 'committed')]).toEqual([1000, 1000]);
    expect(sum(events, 'superseded') + sum(events, 'deleted')).toBe(0);
    const { batches, records, bytes, committed } = writer.stats;
    expect({ batches, records, bytes, committed }).toEqual({
      batches: events.length,
      records: 1000,
      bytes: sum(events, 'bytes'),
      committed: 1000,
    });
    expect(await testStore(place).list(executionId)).toHaveLength(1000);
  });

  it.each([
    ['maxBatchRecords', 25, 'records', 20],
    ['maxBatchBytes', 1, 'records', 10],
  ] as const)('closes a batch at %s of %i', async (option, limit, field, most) => {
    const place = await testPlace();
    const executionId = await fillQueue(place, 12);
    const writer = testWriter(place, { [option]: limit, lingerMs: 50 });
    const events = eventsOf(writer);
    await writer.start();
    await drained(place, executionId);
    expect(Math.max(...events.map((event) => event[field]))).toBeLessThanOrEqual(most);
    expect(sum(events, 'records')).toBe(120);
  });

  it('shares the queue with other replicas, each chunk once', async () => {
    const place = await testPlace();
    const writers = await Promise.all([1, 2, 3].map(() => startWriter(place, { concurrency: 4 })));
    const executionId = await fillQueue(place, 60);
    await drained(place, executionId);
    const records = writers.map((writer) => writer.stats.records);
    expect(records.reduce((total, count) => total + count)).toBe(600);
    expect(await testStore(place).list(executionId)).toHaveLength(600);
  });

  it('counts what became of the records, in its statistics and in Redis', async () => {
    const place = await testPlace();
    const store = testStore(place, { maxChunkRecords: 1 });
    const [kept, cleared] = [newCheckpoint({ version: 2 }), newCheckpoint()];
    await store.save(kept);
    await store.save({ ...kept, version: 1 });
    await store.save(cleared);
    await store.clear(cleared.executionId);
    const writer = await startWriter(place);
    await store.flush();
    const { committed, superseded, deleted } = writer.stats;
    expect({ committed, superseded, deleted }).toEqual({ committed: 1, superseded: 1, deleted: 1 });
    await writer.close();
    const counters = { committed, superseded, deleted, batches: writer.stats.batches };
    expect(await readCounters(place.client, place.keys)).toEqual(counters);
  });
});

describe('what Redis holds of a save', () => {
  it('is there from the acknowledgement to the commit, and gone afterwards', async () => {
    const place = await testPlace();
    const executionId = await fillQueue(place, 3);
    const { chunks, marks, payloadPrefix, reservedPrefix, sequence, counters, jobPrefix } = place.keys;
    const payloads = () => place.client.keys(`${payloadPrefix}*`);
    expect([await place.client.zcard(chunks), await place.client.zcard(marks)]).toEqual([3, 3]);
    expect(await payloads()).toHaveLength(3);

    const writer = await startWriter(place);
    await drained(place, executionId);
    await writer.close();
    expect(await place.client.exists(chunks, marks)).toBe(0);
    expect(await payloads()).toEqual([]);
    const ours = [sequence, counters].map((key) => key.slice(jobPrefix.length));
    const bullmq = ['meta', 'id', 'events', 'stalled-check', 'marker'];
    const reserved = await place.client.keys(`${reservedPrefix}*`);
    for (const key of reserved) expect(await place.client.pttl(key)).toBeGreaterThan(0);
    const left = (await place.client.keys(`${jobPrefix}*`)).filter((key) => !reserved.includes(key));
    const names = left.map((key) => key.slice(jobPrefix.length));
    expect(names.filter((name) => ![...ours, ...bullmq].includes(name))).toEqual([]);
  });
});

describe('options of a writer', () => {
  it.each([
    ['concurrency', 0],
    ['concurrency', 1001],
    ['maxBatchRecords', 0],
    ['maxBatchBytes', 0.5],
    ['maxConcurrentBatches', 65],
    ['lingerMs', -1],
    ['queue', ''],
    ['table', 'a\0b'],
  ])('refuses %s of %j by name', async (field, value) => {
    const place = await testPlace();
    expect(() => testWriter(place, { [field]: value })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', field }),
    );
  });

  it('starts once', async () => {
    const writer = await startWriter(await testPlace());
    await expect(writer.start()).rejects.toMatchObject({ code: 'INVALID_CONFIG', field: 'start' });
  });
});
