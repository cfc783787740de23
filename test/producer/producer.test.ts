import { describe, expect, it } from 'vitest';
import { markOf } from '../../src/redis/queue-keys.js';
import { testPlace } from '../store/place.js';
import { newRecord, testProducer, waitingChunks, waitingJobs, waitingSizes } from './producers.js';

describe('Producer', () => {
  it('sends a lone record out at once, alone in its chunk', async () => {
    const place = await testPlace();
    const producer = testProducer(place);
    for (let i = 0; i < 3; i++) await producer.enqueue(newRecord());
    expect(await waitingSizes(place)).toEqual([1, 1, 1]);
  });

  it('sends out together what is saved together', async () => {
    const place = await testPlace();
    const producer = testProducer(place);
    await Promise.all(Array.from({ length: 10 }, () => producer.enqueue(newRecord())));
    expect(await waitingSizes(place)).toEqual([10]);
  });

  it('gathers records into the next chunk while a few adds are in flight', async () => {
    const place = await testPlace();
    const producer = testProducer(place);
    const adding: Promise<unknown>[] = [];
    for (let i = 0; i < 50; i++) {
      adding.push(producer.enqueue(newRecord()));
      await Promise.resolve();
    }
    await Promise.all(adding);
    const sizes = (await waitingSizes(place)).sort((a, b) => a - b);
    const alone = sizes.filter((size) => size === 1).length;
    expect(alone).toBeGreaterThan(0);
    expect(alone).toBeLessThan(10);
    expect(sizes.slice(alone)).toEqual([50 - alone]);
  });

  it('numbers records in the order of the calls and names the job by the first number', async () => {
    const place = await testPlace();
    const producer = testProducer(place, { maxChunkRecords: 4 });
    const records = Array.from({ length: 10 }, () => newRecord());
    const enqueued = await Promise.all(records.map((record) => producer.enqueue(record)));
    const jobIds = await waitingJobs(place);
    const chunks = await waitingChunks(place);
    for (const [index, { jobId, sequence }] of enqueued.entries()) {
      expect(jobId).toMatch(/^w-\d{16}$/);
      const offset = sequence - Number(jobId.slice(2));
      const body = chunks[jobIds.indexOf(jobId)]?.bodies[offset];
      expect(body).toEqual(records[index]?.toBuffer());
    }
    const sequences = enqueued.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    expect(producer.lastSequence).toBe(sequences.at(-1));
  });

  it('gives rising numbers across producers', async () => {
    const place = await testPlace();
    const producers = [testProducer(place), testProducer(place)];
    const sequences: number[] = [];
    for (let i = 0; i < 40; i++) {
      const enqueued = await producers[i % 2]?.enqueue(newRecord());
      sequences.push(enqueued?.sequence as number);
    }
    expect(sequences.every((number, i) => i === 0 || number > (sequences[i - 1] as number))).toBe(true);
    const atOnce = await Promise.all(
      Array.from({ length: 200 }, (_, i) => producers[i % 2]?.enqueue(newRecord())),
    );
    expect(new Set(atOnce.map((enqueued) => enqueued?.sequence)).size).toBe(200);
  });

  it('leaves payload, chunk and marks beside the job, and no data of users in it', async () => {
    const place = await testPlace();
    const record = newRecord(10);
    const { jobId } = await testProducer(place).enqueue(record);
    const { client, keys } = place;
    expect(await client.zrange(keys.chunks, 0, '-1')).toEqual([jobId]);
    const payload = await client.getBuffer(keys.payloadPrefix + jobId);
    const data = JSON.parse((await client.hget(keys.jobPrefix + jobId, 'data')) as string);
    const target = `${place.schema}.checkpoints`;
    expect(data).toEqual({ sink: 'checkpoints', target, records: 1, bytes: payload?.length });
    const mark = markOf(record.executionId, jobId, { sink: 'checkpoints', target });
    expect(await client.zrange(keys.marks, 0, '-1')).toEqual([mark]);
    expect(JSON.stringify(await client.hgetall(keys.jobPrefix + jobId))).not.toContain(record.executionId);
  });

  it('draws sequences that order operations beside the queue', async () => {
    const place = await testPlace();
    const producer = testProducer(place);
    const before = await producer.enqueue(newRecord());
    const fence = await producer.nextSequence();
    await producer.raiseSequence(fence + 1e6);
    const after = await producer.enqueue(newRecord());
    expect(fence).toBeGreaterThan(before.sequence);
    expect(after.sequence).toBe(fence + 1e6 + 1);
  });
});

describe('Producer.close', () => {
  it('sends what is gathered first, then takes nothing', async () => {
    const place = await testPlace();
    const producer = testProducer(place, { maxChunkRecords: 3 });
    const adding = Promise.all(Array.from({ length: 20 }, () => producer.enqueue(newRecord())));
    const closing = producer.close();
    await expect(producer.enqueue(newRecord())).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(producer.nextSequence()).rejects.toMatchObject({ code: 'CLOSED' });
    await adding;
    await Promise.all([closing, producer.close()]);
    expect((await waitingSizes(place)).reduce((sum, size) => sum + size)).toBe(20);
  });
});
