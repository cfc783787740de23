import type { Queue } from 'bullmq';

/** What an operator, or a dashboard, can do with a BullMQ queue. None of it touches payloads. */
export const OPERATOR_ACTS = {
  drain: (queue: Queue) => queue.drain(true),
  clean: (queue: Queue) => queue.clean(0, 1000, 'wait'),
  obliterate: (queue: Queue) => queue.obliterate({ force: true }),
  'remove of each job': async (queue: Queue) =>
    Promise.all((await queue.getJobs()).map((job) => job.remove())),
} satisfies Record<string, (queue: Queue) => Promise<unknown>>;

export type OperatorAct = keyof typeof OPERATOR_ACTS;

export const OPERATOR_ACT_NAMES = Object.keys(OPERATOR_ACTS) as OperatorAct[];
