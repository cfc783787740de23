import type { Cluster, Redis } from 'ioredis';
import type { DrainProblem } from '../drain-problem.js';
import { redisTimeUs } from './clock.js';
import type { Destination, QueueKeys } from './queue-keys.js';
import { readWorkers, serves } from './worker-registry.js';

/** Whether anything commits what waits in the queue. */
export interface DrainState {
  /** Undefined: a worker takes jobs. */
  readonly problem: DrainProblem | undefined;
  /** Age of the oldest acknowledged save that is not committed, in milliseconds; undefined if there is none. */
  readonly oldestAgeMs: number | undefined;
}

/** @param destination whose workers count; undefined: those of all sinks and tables */
export async function readDrainState(
  client: Redis | Cluster,
  keys: QueueKeys,
  destination?: Destination,
): Promise<DrainState> {
  const nowMs = (await redisTimeUs(client, keys)) / 1000;
  const [all, paused, [, oldest]] = await Promise.all([
    readWorkers(client, keys, nowMs),
    client.hexists(keys.meta, 'paused'),
    client.zrange(keys.chunks, '0', '0', 'WITHSCORES'),
  ]);
  const workers = destination ? all.filter((worker) => serves(worker, destination)) : all;
  // A sequence is the time in µs at which Redis gave it out.
  const oldestAgeMs = oldest === undefined ? undefined : Math.max(0, nowMs - Number(oldest) / 1000);
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
  return { problem, oldestAgeMs };
}
