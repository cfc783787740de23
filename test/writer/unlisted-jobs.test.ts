import { Queue } from 'bullmq';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { encodeChunk } from '../../src/chunk.js';
import { reserve } from '../../src/redis/sequence.js';
import { dropUnlistedJobs } from '../../src/redis/unlisted-jobs.js';
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

async function allDropped({ client, keys }: Place): Promise<string[]> {
  const all: string[] = [];
  for (let rank = 0; ; ) {
    const { nextRank, dropped } = await dropUnlistedJobs(client, keys, rank);
    all.push(...dropped);
    if (nextRank === 0) return all;
    rank = nextRank;
  }
}

describe('the hash of a job that is old enough', () => {
  it('is removed exactly where the job is in none of the lists and sets of BullMQ', async () => {
    const standings = fc.array(fc.constantFrom<Standing>(...LISTS, ...SETS, 'none'), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(standings, async (jobs) => {
        const place = await testPlace();
        const unlisted: string[] = [];
        for (const [index, standing] of jobs.entries()) {
          const jobId = await jobIn(place, index + 1, standing);
          if (standing === 'none') unlisted.push(jobId);
        }
        // The paused list makes the search a long one, which is made for one job a look.
        const expected = jobs.includes('paused') ? unlisted.slice(0, 1) : unlisted;
        expect(await allDropped(place)).toEqual(expected);
        for (const jobId of unlisted) {
          const exists = await place.client.exists(place.keys.jobPrefix + jobId);
          expect(exists).toBe(expected.includes(jobId) ? 0 : 1);
        }
      }),
      { numRuns: 20 },
    );
  });

  it('is found among more waiting jobs than one page has, one a look', async () => {
    const place = await testPlace();
    const { client, keys } = place;
    const waiting = Array.from({ length: 6000 }, (_, index) => `w-${index + 1}`);
    const pipeline = client.pipeline();
    for (const [index, jobId] of waiting.entries()) {
      pipeline.hset(keys.jobPrefix + jobId, 'name', 'chunk');
      pipeline.zadd(keys.chunks, index + 1, jobId);
      if (index !== 0 && index !== 3000) pipeline.lpush(keys.waiting, jobId);
    }
    await pipeline.exec();
    expect(await allDropped(place)).toEqual(['w-1', 'w-3001']);
    expect(await allDropped(place)).toEqual([]);
  });

  it('is left alone while the job is young', async () => {
    const place = await testPlace();
    const [seconds] = await place.client.time();
    await jobIn(place, Number(seconds) * 1e6, 'none');
    expect(await allDropped(place)).toEqual([]);
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
