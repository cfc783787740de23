import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { WorkerMessage, WorkerRequest } from '../../workers/checkpoint-worker.js';
import type { Address } from '../place.js';
import { Child } from './child.js';

/** Those with which the container image starts a worker. */
const DELIVERED_FLAGS = ['--max-semi-space-size=4'];
/** It is asked only after the window, so that asking costs it nothing while saves arrive. */
const ASK_MS = 10;

export type WorkerProcess = Child<WorkerRequest, WorkerMessage>;

/** Lends the worker as it is delivered, in a process of its own, taking jobs already. */
export function withWorkerProcess<T>(
  compiled: string,
  { redisUrl, databaseUrl, queue, schema }: Address,
  signal: AbortSignal,
  use: (worker: WorkerProcess) => Promise<T>,
): Promise<T> {
  const env = {
    PATH: process.env.PATH,
    REDIS_URL: redisUrl,
    DATABASE_URL: databaseUrl,
    CKPT_QUEUE: queue,
    CKPT_SCHEMA: schema,
    CKPT_LANGGRAPH_SCHEMA: schema,
  };
  const program = join(compiled, '..', 'workers', 'checkpoint-worker.js');
  return Child.use<WorkerRequest, WorkerMessage, T>(
    'worker',
    { program, execArgv: DELIVERED_FLAGS, env },
    async (worker) => {
      await worker.receive('ready', signal);
      return use(worker);
    },
  );
}

/** Resolves when the worker is done with so many records since it started. @returns `Date.now()` then, undefined if too late */
export async function committed(
  worker: WorkerProcess,
  records: number,
  { withinMs, signal }: { withinMs: number; signal: AbortSignal },
): Promise<number | undefined> {
  const deadline = performance.now() + withinMs;
  while (performance.now() < deadline) {
    const answer = worker.receive('stats', signal);
    worker.send({ type: 'stats' });
    const { stats } = await answer;
    if (stats.committed + stats.superseded + stats.deleted + stats.deadLettered >= records) return Date.now();
    await delay(ASK_MS, undefined, { signal });
  }
  return undefined;
}
