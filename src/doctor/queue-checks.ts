import type { Cluster, Redis } from 'ioredis';
import type { QueueKeys } from '../redis/queue-keys.js';
import type { QueueStats } from '../redis/queue-stats.js';
import { type Check, error, ok, type Verdict, warning } from './finding.js';

export interface QueueSubject {
  readonly client: Redis | Cluster;
  readonly keys: QueueKeys;
  readonly stats: QueueStats;
  /** CKPT_MAX_QUEUE_DEPTH; 0: no limit. */
  readonly maxQueueDepth: number;
}

export const QUEUE_CHECKS: ReadonlyArray<Check<QueueSubject>> = [
  { name: 'queue.workers', look: ({ stats }) => workers(stats) },
  { name: 'queue.paused', look: paused },
  { name: 'queue.depth', look: ({ stats, maxQueueDepth }) => depth(stats, maxQueueDepth) },
  { name: 'queue.oldest', look: ({ stats }) => oldest(stats) },
  { name: 'queue.stalled', look: stalled },
  { name: 'queue.failed', look: ({ stats }) => failed(stats) },
  { name: 'queue.dead-letters', look: ({ stats }) => deadLetters(stats) },
];

function workers({ workers: running, waiting, active, delayed }: QueueStats): Verdict {
  if (running.length === 0) {
    const todo = 'Start one: ckpt worker.';
    const jobs = waiting + active + delayed;
    if (jobs > 0) return error(`none runs, and ${jobs} jobs are not committed`, todo);
    return warning('none runs: what is saved will wait', todo);
  }
  const open = running.filter(({ breaker }) => breaker === 'open');
  if (open.length === 0) return ok(`${running.length} running`);
  const reasons = new Set(open.map(({ sqlState, failure }) => sqlState ?? failure ?? 'unknown'));
  return error(
    `${open.length} of ${running.length} wait for PostgreSQL (${[...reasons].join(', ')})`,
    'Their log says why. They go on by themselves when it is back; nothing is lost meanwhile.',
  );
}

async function paused({ client, keys }: QueueSubject): Promise<Verdict> {
  if ((await client.hexists(keys.meta, 'paused')) === 0) return ok('no');
  return error('somebody has paused the queue: workers take nothing', "Resume it: BullMQ's Queue.resume().");
}

/** Of the depth at which producers are refused. */
const DEPTH_SHARE = { warning: 0.5, error: 0.9 };

function depth({ waiting, active, delayed }: QueueStats, maximum: number): Verdict {
  const limit = maximum === 0 ? '' : ` of at most ${maximum}`;
  const undone = waiting + active + delayed;
  const seen = `${undone} jobs${limit}: ${waiting} waiting, ${active} in hand, ${delayed} delayed`;
  if (maximum === 0 || undone < DEPTH_SHARE.warning * maximum) return ok(seen);
  const todo =
    'Saves come faster than they are committed. Start more workers (ckpt worker), or see whether PostgreSQL is slow; CKPT_MAX_QUEUE_DEPTH is the limit.';
  return undone < DEPTH_SHARE.error * maximum ? warning(seen, todo) : error(seen, todo);
}

/** The jobs of a worker that was killed come back within 40 s: what is older has another reason. */
const OLDEST_MS = { warning: 60_000, error: 600_000 };

function oldest({ oldestAgeMs }: QueueStats): Verdict {
  if (oldestAgeMs === undefined) return ok('nothing waits');
  const seen = `the oldest save that is not committed is ${Math.round(oldestAgeMs / 1000)} s old`;
  if (oldestAgeMs < OLDEST_MS.warning) return ok(seen);
  const todo =
    'See whether workers run and what they log: ckpt stats. Reads with consistency "latest" of its execution wait for it.';
  return oldestAgeMs < OLDEST_MS.error ? warning(seen, todo) : error(seen, todo);
}

/** More than all workers have in hand, as a rule. */
const ACTIVE_JOBS_LOOKED_AT = 5000;

async function stalled({ client, keys }: QueueSubject): Promise<Verdict> {
  const last = ACTIVE_JOBS_LOOKED_AT - 1;
  const before = await client.lrange(keys.active, 0, last);
  const pipeline = client.pipeline();
  for (const jobId of before) pipeline.exists(`${keys.jobPrefix}${jobId}:lock`);
  const locks = (await pipeline.exec()) ?? [];
  // One that was completed in between has no lock either, but is not active any more.
  const after = new Set(await client.lrange(keys.active, 0, last));
  const lost = before.filter((jobId, index) => locks[index]?.[1] === 0 && after.has(jobId));
  if (lost.length === 0) return ok('none');
  return warning(
    `${lost.length} jobs were in the hands of a worker that gives no sign of life`,
    'The next worker takes them over within CKPT_LOCK_DURATION_MS and a third: nothing is lost. If it happens often, see why workers die.',
  );
}

function failed({ failed: jobs }: QueueStats): Verdict {
  if (jobs === 0) return ok('none');
  return warning(
    `${jobs} jobs cannot be read: no producer of this queue made them, or their payload is lost`,
    "They are kept in BullMQ's failed set with their reason, and hold up reads of the latest of their execution. Remove them, with their keys ckpt-payload-<job id>, when nobody needs them: a job whose payload is there comes back.",
  );
}

function deadLetters({ deadLetters: records }: QueueStats): Verdict {
  if (records === 0) return ok('none');
  return warning(
    `PostgreSQL refused ${records} saves`,
    'See why: ckpt dead list. Then ckpt dead replay, edit or purge.',
  );
}
