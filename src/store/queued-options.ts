import { InvalidConfigError } from '../errors.js';
import { checkOptions, type KnownKeys } from '../known-keys.js';
import { isWhole } from '../numbers.js';
import type { PostgresOption } from '../postgres/database.js';
import { checkLimits, LIMIT_OPTIONS, limitsOf, type ProducerLimits } from '../producer/limits.js';
import { retentionSettings } from '../retention/retention-options.js';
import { PIPELINE_OPTIONS, type PipelineOptions } from '../writer/pipeline-options.js';
import { EMBEDDED_WRITER_OPTIONS, writerSettings } from '../writer/writer-options.js';
import type { EmbeddedWriterOptions } from './embedded-writer.js';

export interface QueuedCheckpointStoreOptions extends PipelineOptions, Partial<ProducerLimits> {
  /**
   * A replica of the PostgreSQL for reads: a DSN, a `pg` pool configuration, or a `pg.Pool`, which stays yours to close. Reads with
   * `consistency: 'committed'` go there, unless `atPrimary`, and may see what it has not received yet as missing, or as not deleted
   * yet; all else goes to the primary. What it does not answer within 5 s, or refuses, is read at the primary; while it is away no
   * read waits for it. Default: none.
   */
  readPostgres?: PostgresOption | undefined;
  /** A checkpoint with more bytes than this does not travel through Redis but straight to PostgreSQL. Default 1 MiB. */
  maxQueuedBytes?: number;
  /**
   * When Redis does not take a save within `enqueueTimeoutMs`: `reject` (default) with QueueUnavailableError, or
   * `write-through`: store it in PostgreSQL directly, at once while Redis is known to be away.
   */
  onQueueUnavailable?: 'reject' | 'write-through';
  /**
   * Also drain the queue in this process, for applications that want no separate worker: `true`, or how. The writer begins
   * with the constructor, and `close` waits up to 10 s for the commit of what this store saved. Default: false.
   */
  writer?: boolean | EmbeddedWriterOptions;
}

export const QUEUED_STORE_OPTIONS = {
  ...PIPELINE_OPTIONS,
  ...LIMIT_OPTIONS,
  readPostgres: true,
  maxQueuedBytes: true,
  onQueueUnavailable: true,
  writer: true,
} satisfies KnownKeys<QueuedCheckpointStoreOptions>;

/** The longest value of Redis. */
const MAX_VALUE_BYTES = 2 ** 29;
/** 1 MiB: larger values hold up Redis, which does one thing at a time, for milliseconds each. */
const DEFAULT_MAX_QUEUED_BYTES = 1024 * 1024;

export interface QueuedSettings {
  readonly limits: ProducerLimits;
  readonly maxQueuedBytes: number;
  readonly onQueueUnavailable: 'reject' | 'write-through';
}

/** The options of a queued store with their defaults. @throws InvalidConfigError naming the option */
export function queuedSettings(options: QueuedCheckpointStoreOptions): QueuedSettings {
  const { onQueueUnavailable = 'reject', maxQueuedBytes = DEFAULT_MAX_QUEUED_BYTES, writer } = options;
  if (onQueueUnavailable !== 'reject' && onQueueUnavailable !== 'write-through') {
    throw new InvalidConfigError('onQueueUnavailable', "must be 'reject' or 'write-through'");
  }
  if (!isWhole(maxQueuedBytes, 1, MAX_VALUE_BYTES)) {
    throw new InvalidConfigError('maxQueuedBytes', `must be a whole number from 1 to ${MAX_VALUE_BYTES}`);
  }
  if (writer !== undefined && typeof writer !== 'boolean') {
    if (typeof writer !== 'object' || writer === null) {
      throw new InvalidConfigError('writer', 'must be true, false or the options of a writer');
    }
    checkOptions(writer, EMBEDDED_WRITER_OPTIONS, 'an embedded writer', { within: 'writer' });
    writerSettings(writer);
    retentionSettings(writer.retention);
  }
  const limits = limitsOf(options);
  checkLimits(limits);
  return { limits, maxQueuedBytes, onQueueUnavailable };
}
