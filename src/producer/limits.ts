import { InvalidConfigError } from '../errors.js';
import type { KnownKeys } from '../known-keys.js';
import { isWhole } from '../numbers.js';

/** The bounds of a producer (promise P7). */
export interface ProducerLimits {
  /** Longest time from `save` to its acknowledgement or `QueueUnavailableError`, in milliseconds. Default 5000. */
  enqueueTimeoutMs: number;
  /** Records in one chunk, at most. Default 200. */
  maxChunkRecords: number;
  /** Bytes at which a chunk is closed. Default 256 KiB. */
  maxChunkBytes: number;
  /**
   * Memory of what is serialised in this process and not acknowledged yet, in bytes; above it `save` throws BackpressureError, mostly
   * before it serialises anything. It counts from the call on, whichever way the save takes. One save alone may be larger. Beside it
   * there is a copy of what is on its way to Redis or PostgreSQL, and about 2 KB for each save. Default 64 MiB.
   */
  maxPendingBytes: number;
  /**
   * Jobs that may be in the queue and not done: waiting, also while it is paused, in the hands of workers, put off or prioritised.
   * Default 100,000; 0: no limit.
   */
  maxQueueDepth: number;
  /** At `maxQueueDepth`: `reject` with BackpressureError (default), or `wait` for room. */
  onQueueFull: 'reject' | 'wait';
  /**
   * Replicas of Redis that must have confirmed a save before it is acknowledged; with too few it fails with QueueUnavailableError, and may
   * be stored all the same. Then a failover to one of them loses nothing acknowledged. Default 0: Redis itself is enough.
   */
  ackReplicas: number;
}

export const LIMIT_OPTIONS = {
  enqueueTimeoutMs: true,
  maxChunkRecords: true,
  maxChunkBytes: true,
  maxPendingBytes: true,
  maxQueueDepth: true,
  onQueueFull: true,
  ackReplicas: true,
} satisfies KnownKeys<ProducerLimits>;

export const DEFAULT_LIMITS: ProducerLimits = Object.freeze({
  enqueueTimeoutMs: 5000,
  // Each chunk costs up to 1 ms of CPU in all processes together, each record of 1 KB about 0.06: 200 make that small.
  maxChunkRecords: 200,
  maxChunkBytes: 256 * 1024,
  maxPendingBytes: 64 * 1024 * 1024,
  maxQueueDepth: 100_000,
  onQueueFull: 'reject',
  ackReplicas: 0,
});

const MAX_ENQUEUE_TIMEOUT_MS = 5 * 60_000;

/** Where an acknowledged record is: job id and its place in the order of all operations. */
export interface Enqueued {
  readonly jobId: string;
  readonly sequence: number;
}

/** What is given, and the defaults for the rest. */
export function limitsOf(given: Partial<ProducerLimits>): ProducerLimits {
  const names = Object.keys(DEFAULT_LIMITS) as (keyof ProducerLimits)[];
  const limits = names.map((name) => [name, given[name] === undefined ? DEFAULT_LIMITS[name] : given[name]]);
  return Object.fromEntries(limits) as ProducerLimits;
}

/** @throws InvalidConfigError naming the limit. */
export function checkLimits(limits: ProducerLimits): void {
  for (const name of ['enqueueTimeoutMs', 'maxChunkRecords', 'maxChunkBytes', 'maxPendingBytes'] as const) {
    if (!isWhole(limits[name], 1)) throw new InvalidConfigError(name, 'must be a whole number of at least 1');
  }
  // After twice this, a chunk without a job counts as an orphan and is swept.
  if (limits.enqueueTimeoutMs > MAX_ENQUEUE_TIMEOUT_MS) {
    throw new InvalidConfigError('enqueueTimeoutMs', `must be at most ${MAX_ENQUEUE_TIMEOUT_MS}`);
  }
  // The pending marks of a chunk travel as arguments of one Lua call, which takes about 8,000.
  if (limits.maxChunkRecords > 1000) throw new InvalidConfigError('maxChunkRecords', 'must be at most 1000');
  if (!isWhole(limits.maxQueueDepth, 0)) {
    throw new InvalidConfigError('maxQueueDepth', 'must be a whole number, 0 for no limit');
  }
  if (!isWhole(limits.ackReplicas, 0)) {
    throw new InvalidConfigError('ackReplicas', 'must be a whole number, 0 for none');
  }
  if (limits.onQueueFull !== 'reject' && limits.onQueueFull !== 'wait') {
    throw new InvalidConfigError('onQueueFull', "must be 'reject' or 'wait'");
  }
}
