import { InvalidConfigError } from '../errors.js';
import { checkOptions, type KnownKeys } from '../known-keys.js';
import { isWhole, isWithin } from '../numbers.js';
import {
  type RetentionOptions,
  type RetentionSettings,
  retentionSettings,
} from '../retention/retention-options.js';
import { PIPELINE_OPTIONS, type PipelineOptions } from './pipeline-options.js';
import type { Sink } from './sink.js';

export interface CheckpointWriterOptions extends PipelineOptions {
  /** Chunks in this worker's hands at once, 1 to 1000. It bounds its memory: each has at most about 1 MiB. Default 64. */
  concurrency?: number;
  /** A batch is closed at this many records (default 4000) or bytes (default 4 MiB). */
  maxBatchRecords?: number;
  maxBatchBytes?: number;
  /** How long a batch that is not full waits for more, in milliseconds. Default 5. */
  lingerMs?: number;
  /** Transactions in flight. Default 2: while they commit, the next batch fills. */
  maxConcurrentBatches?: number;
  /**
   * How long a job stays this worker's when it gives no sign of life, in milliseconds: so soon, and a third of it more, others
   * take over the jobs of one that was killed. Above what the process may ever be held up by itself. Default 30,000.
   */
  lockDurationMs?: number;
  /**
   * Tombstones are kept so many days, and longer as long as a record from before them waits in the queue or among the dead
   * letters. Default 30.
   */
  tombstoneDays?: number;
  /**
   * Removes old checkpoints and dead letters now and then: any number of replicas make one schedule, and one of them at a time does
   * it. All replicas of a queue should be given the same. `false` takes a schedule back that was made before. Default: none is
   * made, and one that other replicas have made is left to them.
   */
  retention?: RetentionOptions | false;
  /**
   * Further sinks that this worker serves beside the checkpoint table: `langGraphSink()` of `checkpoint-queue/langgraph` for what a
   * `QueuedPostgresSaver` puts. Default: none.
   */
  sinks?: Sink[];
  /** Whether it serves the checkpoint table; otherwise only `sinks`, and `retention` may only remove dead letters. Default: true. */
  checkpoints?: boolean;
}

/** Those of a writer in the process of a store, which says where. */
export const EMBEDDED_WRITER_OPTIONS = {
  concurrency: true,
  maxBatchRecords: true,
  maxBatchBytes: true,
  lingerMs: true,
  maxConcurrentBatches: true,
  lockDurationMs: true,
  tombstoneDays: true,
  retention: true,
  sinks: true,
  checkpoints: true,
} satisfies KnownKeys<Omit<CheckpointWriterOptions, keyof PipelineOptions>>;

export const WRITER_OPTIONS = {
  ...PIPELINE_OPTIONS,
  ...EMBEDDED_WRITER_OPTIONS,
} satisfies KnownKeys<CheckpointWriterOptions>;

export const WRITER_DEFAULTS = Object.freeze({
  // 64 chunks of 256 KiB: three full batches of 16 chunks that commit or wait, and one that fills.
  concurrency: 64,
  maxBatchRecords: 4000,
  maxBatchBytes: 4 * 1024 * 1024,
  lingerMs: 5,
  maxConcurrentBatches: 2,
  lockDurationMs: 30_000,
  tombstoneDays: 30,
});

/** In the worst case each is of the same id and has a round of its own, which is a SMALLINT. */
export const MAX_BATCH_RECORDS = 32_000;
export const LOCK_DURATION_MS = Object.freeze({ min: 500, max: 3_600_000 });
/** A hundred years. */
export const MAX_TOMBSTONE_DAYS = 36_500;
/** Above 1000 the worker's loop fetches for too long before it starts. */
const MAX_CONCURRENCY = 1000;

/** The options that have a default, all of them set. */
export type WriterSettings = Required<Pick<CheckpointWriterOptions, keyof typeof WRITER_DEFAULTS>>;

/** The options of a writer, checked, as it works with them. @throws InvalidConfigError naming the option */
export function checkedOptions(options: CheckpointWriterOptions): {
  settings: WriterSettings;
  retention: RetentionSettings | false | undefined;
} {
  checkOptions(options, WRITER_OPTIONS, 'CheckpointWriter');
  return { settings: writerSettings(options), retention: retentionSettings(options.retention) };
}

/** @throws InvalidConfigError naming the option. */
export function writerSettings(options: Partial<WriterSettings>): WriterSettings {
  const bounds = {
    concurrency: MAX_CONCURRENCY,
    maxConcurrentBatches: 64,
    maxBatchRecords: MAX_BATCH_RECORDS,
    maxBatchBytes: 2 ** 29,
    tombstoneDays: MAX_TOMBSTONE_DAYS,
  };
  for (const [name, maximum] of Object.entries(bounds)) {
    const value = options[name as keyof typeof bounds];
    if (value !== undefined && !isWhole(value, 1, maximum)) {
      throw new InvalidConfigError(name, `must be a whole number from 1 to ${maximum}`);
    }
  }
  const { lingerMs, lockDurationMs } = options;
  if (lockDurationMs !== undefined && !isWhole(lockDurationMs, LOCK_DURATION_MS.min, LOCK_DURATION_MS.max)) {
    throw new InvalidConfigError(
      'lockDurationMs',
      `must be a whole number from ${LOCK_DURATION_MS.min} to ${LOCK_DURATION_MS.max}`,
    );
  }
  if (lingerMs !== undefined && !isWithin(lingerMs, 0, 60_000)) {
    throw new InvalidConfigError('lingerMs', 'must be from 0 to 60000');
  }
  const names = Object.keys(WRITER_DEFAULTS) as (keyof WriterSettings)[];
  return Object.fromEntries(
    names.map((name) => [name, options[name] ?? WRITER_DEFAULTS[name]]),
  ) as WriterSettings;
}
