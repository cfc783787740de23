import {
  type Checkpoint,
  type CheckpointInput,
  type SerializedCheckpoint,
  serializeCheckpoint,
  serializeSuccessor,
} from '../checkpoint.js';
import {
  ClosedError,
  InvalidCheckpointError,
  InvalidConfigError,
  QueueUnavailableError,
  WriteRefusedError,
} from '../errors.js';
import { type Logger, silentLogger } from '../logger.js';
import type { Scope } from '../postgres/checkpoint-table.js';
import { Database } from '../postgres/database.js';
import { tableNames } from '../postgres/identifiers.js';
import { checkLimits, type Enqueued, limitsOf, type ProducerLimits } from '../producer/limits.js';
import { Producer } from '../producer/producer.js';
import { RedisConnection } from '../redis/connection.js';
import { queueKeys } from '../redis/queue-keys.js';
import { CheckpointRow } from '../writer/checkpoint-row.js';
import { CheckpointSink } from '../writer/checkpoint-sink.js';
import type { PipelineOptions } from '../writer/pipeline-options.js';
import { AcknowledgedJobs } from './acknowledged-jobs.js';
import type {
  CheckpointStore,
  CommitOutcome,
  ListOptions,
  ReadOptions,
  SaveBatchOptions,
  SaveOptions,
  SaveReceipt,
} from './checkpoint-store.js';
import { CheckpointTable } from './checkpoint-table.js';
import { CommitWatcher } from './commit-watcher.js';
import { DirectWrites } from './direct-writes.js';
import { OutcomeReader } from './outcome-reader.js';

export interface QueuedCheckpointStoreOptions extends PipelineOptions, Partial<ProducerLimits> {
  /** A checkpoint with more bytes than this does not travel through Redis but straight to PostgreSQL. Default 1 MiB. */
  maxQueuedBytes?: number;
  /**
   * When Redis does not take a save within `enqueueTimeoutMs`: `reject` (default) with QueueUnavailableError, or
   * `write-through`: store it in PostgreSQL directly, at once while Redis is known to be away.
   */
  onQueueUnavailable?: 'reject' | 'write-through';
}

/** 1 MiB: larger values hold up Redis, which does one thing at a time, for milliseconds each. */
const DEFAULT_MAX_QUEUED_BYTES = 1024 * 1024;
const DEFAULT_READ_TIMEOUT_MS = 10_000;
const JOB_FAILED_REASON = 'failedReason';

/**
 * Saves are acknowledged when Redis holds them, and committed by the workers (`CheckpointWriter`) a little later: the save
 * does not wait for PostgreSQL. Reads go straight to PostgreSQL and see what is committed, or with
 * `consistency: 'latest'` wait for what was acknowledged before. At least once and idempotent: the highest version of an
 * id wins, then the latest save, whatever the order of arrival.
 *
 * Limits: `ProducerLimits`. A checkpoint above `maxQueuedBytes` is written directly and is committed when `save` returns.
 */
export class QueuedCheckpointStore implements CheckpointStore {
  readonly #options: QueuedCheckpointStoreOptions;
  readonly #logger: Logger;
  readonly #database: Database;
  readonly #connection: RedisConnection;
  readonly #producer: Producer;
  readonly #table: CheckpointTable;
  readonly #direct: DirectWrites;
  readonly #watcher: CommitWatcher;
  readonly #outcomes: OutcomeReader;
  readonly #acknowledged: AcknowledgedJobs;
  readonly #jobPrefix: string;
  #closing: Promise<void> | undefined;

  /** @throws InvalidConfigError naming the option */
  constructor(options: QueuedCheckpointStoreOptions) {
    const { onQueueUnavailable = 'reject', maxQueuedBytes = DEFAULT_MAX_QUEUED_BYTES } = options;
    if (onQueueUnavailable !== 'reject' && onQueueUnavailable !== 'write-through') {
      throw new InvalidConfigError('onQueueUnavailable', "must be 'reject' or 'write-through'");
    }
    if (!Number.isInteger(maxQueuedBytes) || maxQueuedBytes < 1) {
      throw new InvalidConfigError('maxQueuedBytes', 'must be a whole number of at least 1');
    }
    const limits = limitsOf(options);
    // Before anything is opened: what throws here could close nothing.
    checkLimits(limits);
    this.#options = { ...options, onQueueUnavailable, maxQueuedBytes };
    this.#logger = options.logger ?? silentLogger;
    const names = tableNames(options);
    const keys = queueKeys(options);
    this.#jobPrefix = keys.jobPrefix;
    const sink = new CheckpointSink(names);
    this.#database = new Database(options.postgres, { logger: this.#logger });
    this.#table = new CheckpointTable(this.#database, names);
    this.#connection = new RedisConnection(options.redis, 'commands', this.#logger);
    this.#producer = new Producer({
      ...limits,
      connection: this.#connection,
      keys,
      sink: sink.name,
      target: sink.target,
      failFast: onQueueUnavailable === 'write-through',
      logger: this.#logger,
    });
    this.#watcher = new CommitWatcher(this.#connection, keys);
    this.#outcomes = new OutcomeReader(this.#table);
    this.#direct = new DirectWrites({
      producer: this.#producer,
      database: this.#database,
      table: this.#table,
      sink,
      outcomes: this.#outcomes,
      withoutRedis: onQueueUnavailable === 'write-through',
    });
    this.#acknowledged = new AcknowledgedJobs((jobIds) => this.#watcher.ended(jobIds));
  }

  /** Creates the tables, or brings them up to date, as `CheckpointWriter.start` does. @throws SchemaMismatchError */
  initSchema(): Promise<void> {
    return this.#table.migrate();
  }

  /**
   * Resolves when Redis holds the checkpoint, with `ack: 'committed'` when PostgreSQL does.
   * @throws InvalidCheckpointError, BackpressureError, QueueUnavailableError, ClosedError; WriteRefusedError for
   *   `ack: 'committed'`, DatabaseError for writes that bypass the queue; VersionConflictError with `expectedVersion`
   */
  async save(checkpoint: CheckpointInput, options: SaveOptions = {}): Promise<SaveReceipt> {
    this.#assertOpen();
    const { expectedVersion } = options;
    const receipt = await (expectedVersion === undefined
      ? this.#save(serializeCheckpoint(checkpoint))
      : this.#direct.compareAndSave(serializeSuccessor(checkpoint, expectedVersion), expectedVersion));
    if (options.ack === 'committed') await receipt.committed();
    return receipt;
  }

  /**
   * Saves many at once; not a transaction. All are validated before any is queued; then the first error is thrown when
   * every one of them is acknowledged or refused.
   */
  async saveBatch(
    checkpoints: readonly CheckpointInput[],
    options: SaveBatchOptions = {},
  ): Promise<SaveReceipt[]> {
    this.#assertOpen();
    const serialized = checkpoints.map(serializeCheckpoint);
    const saves = await Promise.allSettled(serialized.map((checkpoint) => this.#save(checkpoint)));
    const receipts = saves.map((save) => {
      if (save.status === 'rejected') throw save.reason;
      return save.value;
    });
    if (options.ack === 'committed') await Promise.all(receipts.map((receipt) => receipt.committed()));
    return receipts;
  }

  async load(id: string, options: ReadOptions = {}): Promise<Checkpoint> {
    this.#assertOpen();
    const { consistency, executionId } = options;
    if (consistency === 'latest' && executionId === undefined) {
      throw new InvalidCheckpointError('executionId', "is needed to load with consistency 'latest'");
    }
    await this.#fence(executionId ?? '', options);
    return this.#table.load(id);
  }

  async latest(executionId: string, options: ReadOptions = {}): Promise<Checkpoint | undefined> {
    await this.#fence(executionId, options);
    return this.#table.latest(executionId);
  }

  async list(executionId: string, options: ListOptions = {}): Promise<Checkpoint[]> {
    await this.#fence(executionId, options);
    return this.#table.list(executionId, options);
  }

  /**
   * @throws QueueUnavailableError without Redis: what waits in the queue could come back then; DatabaseError where a batch
   *   holds it up for 10 s
   */
  delete(id: string): Promise<void> {
    return this.#remove('checkpoint', id);
  }

  /** @throws as `delete` */
  clear(executionId: string): Promise<void> {
    return this.#remove('execution', executionId);
  }

  /**
   * Waits until what this store was acknowledged is committed; with an execution, until all of that execution is,
   * whoever saved it.
   * @throws AggregateError of WriteRefusedError for jobs that PostgreSQL refused
   */
  async flush(executionId?: string): Promise<void> {
    this.#assertOpen();
    const jobIds =
      executionId === undefined
        ? this.#acknowledged.jobIds
        : await this.#watcher.pendingJobs(executionId, DEFAULT_READ_TIMEOUT_MS);
    const failed = await this.#watcher.whenEnded(jobIds);
    this.#acknowledged.forget(jobIds);
    if (failed.length === 0) return;
    throw new AggregateError(
      await Promise.all(failed.map((jobId) => this.#refusal(jobId))),
      'writes were refused',
    );
  }

  /** Sends what is still gathered to Redis, then closes. Does not wait for commits: see `flush`. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#producer.close();
    await this.#watcher.close();
    await this.#acknowledged.settled();
    this.#connection.close();
    await this.#database.close();
  }

  async #save(checkpoint: SerializedCheckpoint): Promise<SaveReceipt> {
    const row = new CheckpointRow(checkpoint);
    try {
      if (row.byteLength > (this.#options.maxQueuedBytes as number)) return await this.#direct.oversize(row);
      return this.#receipt(checkpoint, await this.#producer.enqueue(row));
    } catch (error) {
      if (!(error instanceof QueueUnavailableError) || this.#options.onQueueUnavailable === 'reject')
        throw error;
      return this.#direct.writeThrough(row);
    }
  }

  #receipt({ id, executionId, version }: SerializedCheckpoint, { jobId, sequence }: Enqueued): SaveReceipt {
    this.#acknowledged.add(jobId);
    const committed = async (): Promise<CommitOutcome> => {
      const [failed] = await this.#watcher.whenEnded([jobId]);
      if (failed) throw await this.#refusal(failed);
      return this.#outcomes.read({ id, executionId, version, sequence });
    };
    return { id, sequence, committed };
  }

  async #fence(
    executionId: string,
    { consistency, timeoutMs = DEFAULT_READ_TIMEOUT_MS }: ReadOptions,
  ): Promise<void> {
    this.#assertOpen();
    if (consistency === undefined || consistency === 'committed') return;
    if (consistency !== 'latest')
      throw new InvalidConfigError('consistency', "must be 'committed' or 'latest'");
    if (!(timeoutMs >= 0)) throw new InvalidConfigError('timeoutMs', 'must be a number of at least 0');
    const deadline = Date.now() + timeoutMs;
    const jobIds = await this.#watcher.pendingJobs(executionId, timeoutMs);
    if (jobIds.length === 0) return;
    const [refused] = await this.#watcher.whenEnded(jobIds, Math.max(0, deadline - Date.now()));
    // A read without what was refused would give an older state for the latest.
    if (refused) throw await this.#refusal(refused);
  }

  async #remove(scope: Scope, key: string): Promise<void> {
    this.#assertOpen();
    const drawn = await this.#producer.nextSequence();
    const fence = await this.#table.remove(scope, key, drawn);
    // A direct write was numbered by a clock ahead of Redis': later saves must still come after the fence.
    if (fence > drawn) await this.#producer.raiseSequence(fence);
  }

  async #refusal(jobId: string): Promise<WriteRefusedError> {
    const reason = await this.#connection.client
      .hget(this.#jobPrefix + jobId, JOB_FAILED_REASON)
      .catch(() => 'Redis did not tell the reason');
    return new WriteRefusedError(jobId, reason ?? 'the reason is gone');
  }

  #assertOpen(): void {
    if (this.#closing) throw new ClosedError('store');
  }
}
