import {
  type Checkpoint,
  type CheckpointInput,
  type SerializedCheckpoint,
  serializeCheckpoint,
  serializeSuccessor,
} from '../checkpoint.js';
import {
  CheckpointNotFoundError,
  ClosedError,
  InvalidCheckpointError,
  QueueUnavailableError,
  WriteRefusedError,
} from '../errors.js';
import { type Logger, silentLogger } from '../logger.js';
import type { Scope } from '../postgres/checkpoint-table.js';
import { Database } from '../postgres/database.js';
import { tableNames } from '../postgres/identifiers.js';
import type { Enqueued } from '../producer/limits.js';
import { Producer } from '../producer/producer.js';
import { RedisConnection } from '../redis/connection.js';
import { queueKeys } from '../redis/queue-keys.js';
import { CheckpointRow } from '../writer/checkpoint-row.js';
import { CheckpointSink } from '../writer/checkpoint-sink.js';
import { pipelineOf } from '../writer/pipeline-options.js';
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
import { DeadLetterLookup, deadLettered } from './dead-letter-lookup.js';
import { DirectWrites } from './direct-writes.js';
import { EmbeddedWriter } from './embedded-writer.js';
import { DEFAULT_READ_TIMEOUT_MS, LatestFence } from './latest-fence.js';
import { OutcomeReader } from './outcome-reader.js';
import { type QueuedCheckpointStoreOptions, queuedSettings } from './queued-options.js';

const EMBEDDED_CLOSE_MS = 10_000;
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
  readonly #maxQueuedBytes: number;
  readonly #writesThrough: boolean;
  readonly #logger: Logger;
  readonly #database: Database;
  readonly #connection: RedisConnection;
  readonly #producer: Producer;
  readonly #table: CheckpointTable;
  readonly #direct: DirectWrites;
  readonly #watcher: CommitWatcher;
  readonly #deadLetters: DeadLetterLookup;
  readonly #outcomes: OutcomeReader;
  readonly #fence: LatestFence;
  readonly #acknowledged: AcknowledgedJobs;
  readonly #jobPrefix: string;
  readonly #embedded: EmbeddedWriter | undefined;
  #closing: Promise<void> | undefined;

  /** @throws InvalidConfigError naming the option */
  constructor(options: QueuedCheckpointStoreOptions) {
    // Before anything is opened: what throws here could close nothing.
    const { limits, onQueueUnavailable, maxQueuedBytes } = queuedSettings(options);
    this.#writesThrough = onQueueUnavailable === 'write-through';
    this.#maxQueuedBytes = maxQueuedBytes;
    this.#logger = options.logger ?? silentLogger;
    const names = tableNames(options);
    const keys = queueKeys(options);
    this.#jobPrefix = keys.jobPrefix;
    const sink = new CheckpointSink(names);
    this.#database = new Database(options.postgres, { logger: this.#logger });
    this.#table = new CheckpointTable(this.#database, names, (above) => this.#producer.raiseSequence(above));
    this.#connection = new RedisConnection(options.redis, 'commands', this.#logger);
    this.#producer = new Producer({
      ...limits,
      connection: this.#connection,
      keys,
      sink: sink.name,
      target: sink.target,
      failFast: this.#writesThrough,
      logger: this.#logger,
    });
    this.#watcher = new CommitWatcher(this.#connection, keys);
    this.#deadLetters = new DeadLetterLookup(this.#connection, keys);
    this.#outcomes = new OutcomeReader(this.#table, this.#deadLetters);
    this.#fence = new LatestFence(this.#watcher, this.#deadLetters, this.#table, (jobId) =>
      this.#refusal(jobId),
    );
    this.#direct = new DirectWrites({
      producer: this.#producer,
      database: this.#database,
      table: this.#table,
      sink,
      outcomes: this.#outcomes,
      withoutRedis: this.#writesThrough,
    });
    this.#acknowledged = new AcknowledgedJobs({
      ended: (jobIds) => this.#watcher.ended(jobIds),
      refusals: async (ranges) => (await this.#deadLetters.bySequence(ranges)).map(deadLettered),
    });
    const { writer } = options;
    this.#embedded = writer
      ? new EmbeddedWriter({ ...(writer === true ? {} : writer), ...pipelineOf(options) }, this.#logger)
      : undefined;
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
    const read = () => this.#table.find(id);
    const stored = await this.#fence.read({ executionId: executionId ?? '', id, read }, options);
    if (!stored) throw new CheckpointNotFoundError(id);
    return stored.checkpoint;
  }

  async latest(executionId: string, options: ReadOptions = {}): Promise<Checkpoint | undefined> {
    this.#assertOpen();
    const read = () => this.#table.latest(executionId);
    return (await this.#fence.read({ executionId, read }, options))?.checkpoint;
  }

  /** What PostgreSQL refused is not in the list, and no error: see `DeadLetters`. */
  async list(executionId: string, options: ListOptions = {}): Promise<Checkpoint[]> {
    this.#assertOpen();
    await this.#fence.pass(executionId, options);
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
   * @throws AggregateError of DeadLetteredError for each save that PostgreSQL refused: of this store since the last flush, or
   *   of the execution; WriteRefusedError among them for jobs that nobody can read
   */
  async flush(executionId?: string): Promise<void> {
    this.#assertOpen();
    const jobIds =
      executionId === undefined
        ? this.#acknowledged.jobIds
        : (await this.#watcher.pending(executionId, DEFAULT_READ_TIMEOUT_MS)).jobIds;
    const failed = await this.#watcher.whenEnded(jobIds);
    const refusals =
      executionId === undefined
        ? await this.#acknowledged.settle(jobIds)
        : (await this.#fence.unresolved(executionId)).map(deadLettered);
    const errors = [...refusals, ...(await Promise.all(failed.map((jobId) => this.#refusal(jobId))))];
    if (errors.length > 0) throw new AggregateError(errors, `${errors.length} saves were refused`);
  }

  /** Sends what is still gathered to Redis, then closes. Does not wait for commits: see `flush`. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#producer.close();
    await this.#closeEmbedded();
    await this.#watcher.close();
    await this.#acknowledged.settled();
    this.#connection.close();
    await this.#database.close();
  }

  /** Nobody else may commit what this store saved: it is waited for, and otherwise waits in the queue for the next start. */
  async #closeEmbedded(): Promise<void> {
    if (!this.#embedded) return;
    const deadline = Date.now() + EMBEDDED_CLOSE_MS;
    const awaited = this.#embedded.failed ? [] : this.#acknowledged.jobIds;
    await this.#watcher.whenEnded(awaited, EMBEDDED_CLOSE_MS).catch((error) => {
      this.#logger.warn({ code: error.code }, 'closed before all that was saved here is committed');
    });
    await this.#embedded.close(Math.max(0, deadline - Date.now()));
  }

  async #save(checkpoint: SerializedCheckpoint): Promise<SaveReceipt> {
    const row = new CheckpointRow(checkpoint);
    try {
      if (row.byteLength > this.#maxQueuedBytes) return await this.#direct.oversize(row);
      return this.#receipt(checkpoint, await this.#producer.enqueue(row));
    } catch (error) {
      if (!(error instanceof QueueUnavailableError) || !this.#writesThrough) throw error;
      return this.#direct.writeThrough(row);
    }
  }

  #receipt({ id, executionId, version }: SerializedCheckpoint, { jobId, sequence }: Enqueued): SaveReceipt {
    this.#acknowledged.add({ jobId, sequence });
    const committed = async (): Promise<CommitOutcome> => {
      const [failed] = await this.#watcher.whenEnded([jobId]);
      if (failed) throw await this.#refusal(failed);
      return this.#outcomes.read({ id, executionId, version, sequence });
    };
    return { id, sequence, committed };
  }

  async #remove(scope: Scope, key: string): Promise<void> {
    this.#assertOpen();
    // After the saves that were called before, acknowledged or not.
    const drawn = await this.#producer.nextSequenceInOrder();
    const fence = await this.#table.remove(scope, key, drawn);
    // An older tombstone of a plain store was numbered by a clock ahead of Redis': later saves must come after it.
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
    this.#embedded?.assertStarted();
  }
}
