import type { Job, Telemetry } from 'bullmq';
import type { ChunkJob } from '../chunk.js';
import { AbandonableWorker } from '../redis/abandonable-worker.js';
import { accessErrorOf } from '../redis/access.js';
import type { RedisConnection } from '../redis/connection.js';
import type { QueueKeys } from '../redis/queue-keys.js';
import type { WriterSettings } from './writer-options.js';

// Two kills of its worker would otherwise fail a job: that a worker died says nothing of the job.
const MAX_STALLED_COUNT = 1_000_000_000;
/** Looks for the jobs of killed workers while a lock lasts. */
const STALLED_LOOKS = 3;

export type QueueWorker = AbandonableWorker<ChunkJob, void>;

export interface QueueWorkerOptions {
  connection: RedisConnection;
  keys: QueueKeys;
  settings: WriterSettings;
  telemetry: Telemetry | undefined;
  process: (job: Job<ChunkJob, void>, token: string | undefined) => Promise<void>;
  onError: (error: unknown) => void;
  onCompleted: (job: Job<ChunkJob, void>) => void;
}

/** BullMQ's worker of the queue of chunks. It takes no jobs until it is told to run. */
export function openQueueWorker(options: QueueWorkerOptions): QueueWorker {
  const { connection, keys, settings, telemetry } = options;
  const { lockDurationMs, concurrency } = settings;
  const worker: QueueWorker = new AbandonableWorker(keys.queue, options.process, {
    connection: connection.client,
    prefix: keys.prefix,
    concurrency,
    maxStalledCount: MAX_STALLED_COUNT,
    lockDuration: lockDurationMs,
    stalledInterval: Math.round(lockDurationMs / STALLED_LOOKS),
    autorun: false,
    ...(telemetry && { telemetry }),
  });
  worker.on('error', options.onError);
  // The others end in the queue's failed set, or are tried again: that is told there.
  worker.on('failed', (_job, error) => accessErrorOf(error) && options.onError(error));
  worker.on('completed', options.onCompleted);
  return worker;
}
