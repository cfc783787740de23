import { expect, it } from 'vitest';
import { AcknowledgedJobs } from '../../src/store/acknowledged-jobs.js';

/** Jobs whose end the test decides; notes how many were asked for at each look. */
function watched(end: (jobId: string) => unknown) {
  const looks: number[] = [];
  const jobs = new AcknowledgedJobs(async (jobIds) => {
    looks.push(jobIds.length);
    return new Map(
      jobIds.map((jobId) => [jobId, end(jobId)]).filter(([, ended]) => ended) as [string, unknown][],
    );
  });
  const add = async (from: number, count: number) => {
    for (let i = from; i < from + count; i++) jobs.add(`w-${i}`);
    await jobs.settled();
  };
  return { jobs, looks, add };
}

it('forgets what is done and keeps what is not, and what was refused', async () => {
  const { jobs, add } = watched((jobId) => ({ 'w-1': undefined, 'w-2': 'failed' })[jobId] ?? 'done');
  const { jobs: pending, add: addPending } = watched(() => undefined);
  await add(3, 998);
  expect(jobs.jobIds).toHaveLength(998);
  await add(2, 1);
  await add(1001, 1);
  expect(jobs.jobIds).toEqual(['w-2']);
  await addPending(0, 1000);
  expect(pending.jobIds).toHaveLength(1000);
});

it('looks again only when as many have come as were left: each job a bounded number of times', async () => {
  const { looks, add } = watched(() => undefined);
  await add(0, 1000);
  await add(1000, 999);
  expect(looks).toEqual([1000]);
  await add(1999, 1);
  await add(2000, 2000);
  expect(looks).toEqual([1000, 2000, 4000]);
});

it('goes on where a look fails, and looks again later', async () => {
  let away = true;
  const jobs = new AcknowledgedJobs(async (jobIds) => {
    if (away) throw new Error('Redis is away');
    return new Map(jobIds.map((jobId) => [jobId, 'done']));
  });
  for (let i = 0; i < 1000; i++) jobs.add(`w-${i}`);
  await jobs.settled();
  expect(jobs.jobIds).toHaveLength(1000);
  away = false;
  for (let i = 1000; i < 2000; i++) jobs.add(`w-${i}`);
  await jobs.settled();
  expect(jobs.jobIds).toEqual([]);
});

it('forgets what it is told to', () => {
  const { jobs } = watched(() => undefined);
  jobs.add('w-1');
  jobs.add('w-2');
  jobs.forget(['w-1', 'w-3']);
  expect(jobs.jobIds).toEqual(['w-2']);
});
