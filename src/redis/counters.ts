import type { Cluster, Redis } from 'ioredis';
import type { QueueKeys } from './queue-keys.js';

/** What the workers of a queue have written since it was made. Approximate: a worker that is killed tells less. */
export interface QueueCounters {
  committed: number;
  superseded: number;
  deleted: number;
  batches: number;
  /** Jobs that were missing, though their records may not have been committed, and were added anew; undefined: none. */
  requeued?: number | undefined;
}

type Counted = Omit<QueueCounters, 'batches' | 'requeued'>;

export async function addToCounters(
  client: Redis | Cluster,
  keys: QueueKeys,
  outcomes: readonly Counted[],
): Promise<void> {
  if (outcomes.length === 0) return;
  const pipeline = client.pipeline();
  for (const name of ['committed', 'superseded', 'deleted'] as const) {
    const count = outcomes.reduce((sum, outcome) => sum + outcome[name], 0);
    if (count > 0) pipeline.hincrby(keys.counters, name, count);
  }
  pipeline.hincrby(keys.counters, 'batches', outcomes.length);
  await pipeline.exec();
}

export async function countRequeued(client: Redis | Cluster, keys: QueueKeys, jobs: number): Promise<void> {
  await client.hincrby(keys.counters, 'requeued', jobs);
}

export async function readCounters(client: Redis | Cluster, keys: QueueKeys): Promise<QueueCounters> {
  const found = await client.hgetall(keys.counters);
  const count = (name: keyof Counted | 'batches') => Number(found[name] ?? 0);
  return {
    committed: count('committed'),
    superseded: count('superseded'),
    deleted: count('deleted'),
    batches: count('batches'),
    requeued: found.requeued === undefined ? undefined : Number(found.requeued),
  };
}
