import { expect, it } from 'vitest';
import type { SequenceRange } from '../../src/redis/dead-letter-queue.js';
import { AcknowledgedJobs } from '../../src/store/acknowledged-jobs.js';

/** Jobs whose end the test decides; notes how many were asked for at each look. */
function watched(end: (jobId: string) => 'done' | 'failed' | undefined) {
  const looks: number[] = [];
  const asked: SequenceRange[] = [];
  const jobs = new AcknowledgedJobs({
    async ended(jobIds) {
      looks.push(jobIds.length);
      return new Map(jobIds.flatMap((jobId) => (end(jobId) ? [[jobId, end(jobId) as 'done']] : [])));
    },
    async refusals(ranges) {
      asked.push(...ranges);
      return ranges.filter(({ first, last }) => first <= 7 && last >= 7).map(() => new Error('7 is refused'));
    },
  });
  const add = async (from: number, count: number) => {
    for (let i = from; i < from + count; i++) jobs.add({ jobId: `w-${i}`, sequence: i });
    await jobs.settled();
  };
  return { jobs, looks, add, asked };
}

it('forgets what is done and keeps what is not, and what was refused', async () => {
  const { jobs, add } = watched((jobId) => (jobId === 'w-2' ? 'failed' : 'done'));
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
  const { jobs, add } = watched(() => {
    if (away) throw new Error('Redis is away');
    return 'done';
  });
  await add(0, 1000);
  expect(jobs.jobIds).toHaveLength(1000);
  away = false;
  await add(1000, 1000);
  expect(jobs.jobIds).toEqual([]);
});

it('forgets what it is told to, and tells once what was refused of it', async () => {
  const { jobs, add, asked } = watched(() => undefined);
  await add(1, 2);
  for (const sequence of [8, 6, 9]) jobs.add({ jobId: 'w-6', sequence });
  expect((await jobs.settle(['w-1', 'w-6', 'w-3'])).map(({ message }) => message)).toEqual(['7 is refused']);
  expect(asked).toContainEqual({ first: 6, last: 9 });
  expect(jobs.jobIds).toEqual(['w-2']);
  expect(await jobs.settle(['w-2'])).toEqual([]);
});

it('tells also what was refused of jobs that it has forgotten by itself', async () => {
  const { jobs, add } = watched(() => 'done');
  await add(0, 1000);
  expect(jobs.jobIds).toEqual([]);
  expect(await jobs.settle([])).toHaveLength(1);
});
