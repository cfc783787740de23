import { once } from 'node:events';
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { expect, it, onTestFinished, vi } from 'vitest';
import { recoverStalled } from '../../src/writer/stalled-recovery.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { startWriter, testPlace, testStore } from '../store/place.js';
import { failedJobs, forgeJob } from './forged-jobs.js';

it('a job that a worker with other rules has failed as stalled comes back; one that nobody can read does not', async () => {
  const place = await testPlace();
  const store = testStore(place);
  const checkpoint = newCheckpoint();
  const receipt = await store.save(checkpoint);

  const connection = new Redis(place.redis, { maxRetriesPerRequest: null });
  const foreign = new Worker(place.queue, null, {
    connection,
    prefix: place.keys.prefix,
    lockDuration: 300,
    stalledInterval: 100,
    maxStalledCount: 0,
  });
  foreign.on('error', () => {});
  onTestFinished(async () => {
    await foreign.close();
    connection.disconnect();
  });
  await foreign.getNextJob('taken and never finished');
  // It is marked as lost too often, and whoever takes it next finds it failed, without trying.
  const marked = once(foreign, 'stalled');
  await foreign.startStalledCheckTimer();
  await marked;
  const ours = await startWriter(place);
  const jobId = `w-${receipt.sequence}`;
  await vi.waitFor(async () => expect([...(await failedJobs(place)).keys()]).toEqual([jobId]), 10_000);
  const unreadable = await forgeJob(place, { jobId: 'w-1', data: [] });
  await vi.waitFor(async () => expect((await failedJobs(place)).has(unreadable)).toBe(true), 10_000);

  expect(await recoverStalled(foreign, place.client, place.keys)).toBe(1);
  await vi.waitFor(async () => expect(await store.load(checkpoint.id)).toMatchObject({ id: checkpoint.id }));
  expect([...(await failedJobs(place)).keys()]).toEqual([unreadable]);
  expect(ours.stats.committed).toBe(1);
  expect(await recoverStalled(foreign, place.client, place.keys)).toBe(0);
});
