import { Queue } from 'bullmq';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { encodeChunk } from '../../src/chunk.js';
import { silentLogger } from '../../src/logger.js';
import { reserve } from '../../src/redis/sequence.js';
import { UnlistedJobs } from '../../src/writer/unlisted-jobs.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';

/** Where BullMQ may have put a job, by the key. */
const LISTS = ['wait', 'paused', 'active'] as const;
const SETS = ['delayed', 'prioritized', 'failed', 'completed', 'waiting-children'] as const;
type Standing = (typeof LISTS)[number] | (typeof SETS)[number] | 'none';

async function chunkOf(place: Place, sequence: number): Promise<string> {
  const jobId = `w-${sequence}`;
  const reservation = { records: 1, payload: encodeChunk(['e'], []), executions: ['e'], maxQueueDepth: 0 };
  await reserve(place.client, place.keys, reservation, { jobId, firstSequence: sequence });
  return jobId;
}

async function jobIn(place: Place, sequence: number, standing: Standing): Promise<string> {
  const { client, keys } = place;
  const jobId = await chunkOf(place, sequence);
  await client.hset(keys.jobPrefix + jobId, 'name', 'chunk');
  const key = keys.jobPrefix + standing;
  if ((LISTS as readonly string[]).includes(standing)) await client.lpush(key, jobId);
  else if (standing !== 'none') await client.zadd(key, 1, jobId);
  return jobId;
}

/** What a worker finds and puts back in as many looks. */
async function lookAt({ client, keys }: Place, looks: number): Promise<void> {
  const unlisted = new UnlistedJobs(client, keys, silentLogger);
  for (let look = 0; look < looks; look++) await unlisted.look();
}

describe('a job that is old enough', () => {
  it('is put into the waiting list exactly where it is in none of the lists and sets of BullMQ', async () => {
    const standings = fc.array(fc.constantFrom<Standing>(...LISTS, ...SETS, 'none'), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(standings, async (jobs) => {
        const place = await testPlace();
        const { client, keys } = place;
        const unlisted: string[] = [];
        for (const [index, standing] of jobs.entries()) {
          const jobId = await jobIn(place, index + 1, standing);
          if (standing === 'none') unlisted.push(jobId);
        }
        const before = await client.lrange(keys.waiting, 0, -1);
        await lookAt(place, 10);
        const waiting = await client.lrange(keys.waiting, 0, -1);
        expect(waiting.slice(0, before.length)).toEqual(before);
        expect(waiting.slice(before.length).sort()).toEqual(unlisted.sort());
        expect(await client.zcard(keys.marker)).toBe(unlisted.length > 0 ? 1 : 0);
      }),
      { numRuns: 20 },
    );
  });

  it('is found wherever it stands among 6000 that wait, some of them out of order', async () => {
    const place = await testPlace();
    const { client, keys } = place;
    const unlisted = new Set([0, 3000, 4700].map((index) => `w-${index + 1}`));
    const late = new Set([1, 2, 3001].map((index) => `w-${index + 1}`));
    const jobs = Array.from({ length: 6000 }, (_, index) => `w-${index + 1}`);
    const pipeline = client.pipeline();
    for (const [index, jobId] of jobs.entries()) {
      pipeline.hset(keys.jobPrefix + jobId, 'name', 'chunk');
      pipeline.zadd(keys.chunks, index + 1, jobId);
      if (!unlisted.has(jobId) && !late.has(jobId)) pipeline.lpush(keys.waiting, jobId);
    }
    for (const jobId of late) pipeline.lpush(keys.waiting, jobId);
    await pipeline.exec();
    await lookAt(place, 40);
    expect(await client.llen(keys.waiting)).toBe(6000);
    expect((await client.lrange(keys.waiting, -3, -1)).sort()).toEqual([...unlisted].sort());
  });

  it('wakes nobody while the queue is paused', async () => {
    const place = await testPlace();
    await place.client.hset(place.keys.meta, 'paused', '1');
    await jobIn(place, 1, 'none');
    await lookAt(place, 1);
    expect(await place.client.lrange(place.keys.waiting, 0, -1)).toEqual(['w-1']);
    expect(await place.client.exists(place.keys.marker)).toBe(0);
  });

  it('is left alone while it is young', async () => {
    const place = await testPlace();
    const [seconds] = await place.client.time();
    await jobIn(place, Number(seconds) * 1e6, 'none');
    await lookAt(place, 2);
    expect(await place.client.llen(place.keys.waiting)).toBe(0);
  });
});

it('a save whose job BullMQ could not put into its list is committed by a worker', {
  timeout: 120_000,
}, async () => {
  const place = await testPlace();
  const store = testStore(place);
  await store.initSchema();
  const { client, keys } = place;
  const events = `${keys.jobPrefix}events`;
  // BullMQ writes the hash of the job, then fails at its stream of events, which is of another type.
  await client.set(events, 'of another type');
  const queue = new Queue(place.queue, { connection: client });
  onTestFinished(() => queue.close());
  const saving = store.save(newCheckpoint());
  await vi.waitFor(async () => expect(await client.keys(`${keys.jobPrefix}w-*`)).toHaveLength(1));
  expect(await client.llen(keys.waiting)).toBe(0);
  await client.del(events);
  // Adding it again is a duplicate to BullMQ: the save is acknowledged, and its job is in no list.
  const receipt = await saving;
  expect(await client.llen(keys.waiting)).toBe(0);
  await startWriter(place);
  expect(await receipt.committed()).toBe('committed');
});
