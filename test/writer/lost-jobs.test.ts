import { Queue } from 'bullmq';
import { expect, it, onTestFinished } from 'vitest';
import { encodeChunk } from '../../src/chunk.js';
import { reserve } from '../../src/redis/sequence.js';
import { LostJobs } from '../../src/writer/lost-jobs.js';
import { type Place, testPlace } from '../store/place.js';

/** Looks of one worker, and what it was to bring back. */
function lostJobs(place: Place, left: string[] = []) {
  const brought: string[] = [];
  const jobs = new LostJobs(place.client, place.keys, async (jobIds) => {
    brought.push(...jobIds);
    return jobIds.filter((jobId) => left.includes(jobId));
  });
  return { brought, look: () => jobs.look(0) };
}

async function reserved(place: Place, sequence: number): Promise<string> {
  const jobId = `w-${sequence}`;
  const reservation = { records: 1, payload: encodeChunk(['e'], []), executions: ['e'], maxQueueDepth: 0 };
  await reserve(place.client, place.keys, reservation, { jobId, firstSequence: sequence });
  return jobId;
}

async function addJob(place: Place, jobId: string): Promise<void> {
  const queue = new Queue(place.queue, { connection: place.client });
  onTestFinished(() => queue.close());
  await queue.add('chunk', {}, { jobId });
}

it('brings back what is without a job at two looks', async () => {
  const place = await testPlace();
  const [lost, there] = [await reserved(place, 1), await reserved(place, 2)];
  await addJob(place, there);
  const { look, brought } = lostJobs(place);
  await look();
  expect(brought).toEqual([]);
  await look();
  expect(brought).toEqual([lost]);
});

it('leaves alone what gets its job, loses its payload or is cleaned up between two looks', async () => {
  const place = await testPlace();
  const { client, keys } = place;
  const [added, gone, done] = [await reserved(place, 1), await reserved(place, 2), await reserved(place, 3)];
  const { look, brought } = lostJobs(place);
  await look();
  await addJob(place, added);
  await client.unlink(keys.payloadPrefix + gone);
  await client.unlink(keys.payloadPrefix + done);
  await client.zrem(keys.chunks, done);
  await look();
  await look();
  expect(brought).toEqual([]);
});

it('does not try again at once what could not be brought back', async () => {
  const place = await testPlace();
  const lost = await reserved(place, 1);
  const { look, brought } = lostJobs(place, [lost]);
  for (const _ of [1, 2, 3, 4]) await look();
  expect(brought).toEqual([lost]);
});

it('goes through an index of any length, a page at a look, and at once through pages that have lost jobs', async () => {
  const place = await testPlace();
  const { client, keys } = place;
  const entries = Array.from({ length: 4500 }, (_, index) => [index, `w-${index}`]);
  for (let from = 0; from < entries.length; from += 500) {
    await client.zadd(keys.chunks, ...entries.slice(from, from + 500).flat());
  }
  const [late, ...others] = [
    await reserved(place, 4200),
    await reserved(place, 100),
    await reserved(place, 1100),
  ];
  const { look, brought } = lostJobs(place);
  for (const _ of [1, 2]) await look();
  expect(brought.sort()).toEqual(others.sort());
  for (const _ of [1, 2, 3]) await look();
  expect(brought).toContain(late);
});
