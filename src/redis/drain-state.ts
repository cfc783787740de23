import type { Cluster, Redis } from 'ioredis';
import type { DrainProblem } from '../drain-problem.js';
import { redisTimeUs } from './clock.js';
import type { Destination, QueueKeys } from './queue-keys.js';
import { readWorkers, serves } from './worker-registry.js';

/** Whether anything commits what waits in the queue. */
export interface DrainState {
  /** Undefined: a worker takes jobs. */
  readonly problem: DrainProblem | undefined;
  /** Redis' clock, by which sequences are numbered; µs since 1970. */
  readonly nowUs: number;
}

/** @param destination whose workers count; undefined: those of all sinks and tables */
export async function readDrainState(
  client: Redis | Cluster,
  keys: QueueKeys,
  destination?: Destination,
): Promise<DrainState> {
  const nowUs = await redisTimeUs(client, keys);
  const [all, paused] = await Promise.all([
    readWorkers(client, keys, nowUs / 1000),
    client.hexists(keys.meta, 'paused'),
  ]);
  const workers = destination ? all.filter((worker) => serves(worker, destination)) : all;
  const problem =
    workers.length === 0
      ? all.length === 0
        ? 'no-worker'
        : 'no-worker-of-this-table'
      : paused === 1
        ? 'queue-paused'
        : workers.every(({ breaker }) => breaker === 'open')
          ? 'worker-without-postgres'
          : undefined;
  return { problem, nowUs };
}
