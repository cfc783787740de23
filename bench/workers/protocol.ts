import type { CheckpointWriterOptions } from '../../src/index.js';
import type { Commits } from '../commits.js';
import type { Address } from '../place.js';

/** What a worker process commits: chunks of our pipeline, of checkpoints or of what graphs put, or one save a job. */
export type WorkerKind = 'pipeline' | 'graph-pipeline' | 'job-per-save';

/** From the benchmark to its worker process. */
export type ToWorker =
  | { type: 'start'; kind: WorkerKind; address: Address; settings: ReplicaSettings }
  | { type: 'stop' };

/** How a replica of the pipeline differs from the defaults. */
export type ReplicaSettings = Pick<
  CheckpointWriterOptions,
  'concurrency' | 'maxBatchRecords' | 'maxConcurrentBatches'
>;

/** How far a worker process has come since it was started. */
export interface Progress {
  readonly commits: Commits;
  /** Resident memory in bytes: now, and the most that was seen. */
  readonly rss: number;
  readonly peakRss: number;
}

/** From a worker process to the benchmark. */
export type FromWorker =
  | { type: 'loaded' }
  | { type: 'started' }
  | { type: 'progress'; progress: Progress }
  | { type: 'failed'; reason: string };

/** A worker of either kind, running. */
export interface RunningWorker {
  close(): Promise<void>;
}

/** Begins to take jobs; tells of each commit how many records it was done with. */
export type StartWorker = (
  address: Address,
  handled: (records: number) => void,
  settings: ReplicaSettings,
) => Promise<RunningWorker>;
