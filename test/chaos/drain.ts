import { setTimeout as delay } from 'node:timers/promises';
import { lostJobsOfPage } from '../../src/redis/lost-jobs.js';
import type { Arena } from './arena.js';

const LOOK_MS = 100;
/** So many looks in a row have to find nothing: a job may be on its way from one list to another. */
const QUIET_LOOKS = 3;
const LISTS = ['wait', 'active'] as const;
const SETS = ['delayed', 'prioritized'] as const;
const PAGE = 1000;

/** Jobs of the queue that still have work to do, those included that were removed before they were done. */
export async function jobsLeft(arena: Arena): Promise<number> {
  const { client, keys } = arena;
  const counts = [
    ...LISTS.map((list) => client.llen(keys.jobPrefix + list)),
    ...SETS.map((set) => client.zcard(keys.jobPrefix + set)),
  ];
  return (await Promise.all([...counts, lostJobs(arena)])).reduce((sum, count) => sum + count, 0);
}

/** Chunks without a job: workers add it anew. */
async function lostJobs({ client, keys }: Arena): Promise<number> {
  let sum = 0;
  for (let from = 0; ; from += PAGE) {
    const { looked, lost } = await lostJobsOfPage(client, keys, from, PAGE);
    sum += lost.length;
    if (looked < PAGE) return sum;
  }
}

/** Waits until the queue is empty. @returns how many jobs were left at the deadline */
export async function drain(arena: Arena, deadlineMs: number): Promise<number> {
  const deadline = performance.now() + deadlineMs;
  for (let quiet = 0; ; ) {
    const left = await jobsLeft(arena);
    quiet = left === 0 ? quiet + 1 : 0;
    if (quiet === QUIET_LOOKS) return 0;
    if (performance.now() > deadline) return left;
    await delay(LOOK_MS);
  }
}
