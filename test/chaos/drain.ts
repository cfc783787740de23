import { setTimeout as delay } from 'node:timers/promises';
import type { Arena } from './arena.js';

const LOOK_MS = 100;
/** So many looks in a row have to find nothing: a job may be on its way from one list to another. */
const QUIET_LOOKS = 3;
const LISTS = ['wait', 'active'] as const;
const SETS = ['delayed', 'prioritized'] as const;

/** Jobs of the queue that still have work to do. */
export async function jobsLeft({ client, keys }: Arena): Promise<number> {
  const counts = [
    ...LISTS.map((list) => client.llen(keys.jobPrefix + list)),
    ...SETS.map((set) => client.zcard(keys.jobPrefix + set)),
  ];
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
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
