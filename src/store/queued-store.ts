import {
  type Checkpoint,
  type CheckpointInput,
  type SerializedCheckpoint,
  validName,
} from '../checkpoint.js';
import { CheckpointNotFoundError, QueueUnavailableError } from '../errors.js';
import { checkOptions } from '../known-keys.js';
import type { Scope } from '../postgres/checkpoint-table.js';
import { Database } from '../postgres/database.js';
import { tableNames } from '../postgres/identifiers.js';
import { openReplica, type ReadReplica } from '../postgres/read-replica.js';
import type { Enqueued } from '../producer/limits.js';
import { redisTimeUs } from '../redis/clock.js';
import { pendingFloors } from '../redis/pending-floors.js';
import { destinationOf, queueKeys } from '../redis/queue-keys.js';
import { askWithin } from '../redis/retry.js';
import type { PruneOptions, PruneResult } from '../retention/prune-options.js';
import { Pruning } from '../retention/pruning.js';
import { CheckpointRow } from '../writer/checkpoint-row.js';
import { CheckpointSink } from '../writer/checkpoint-sink.js';
import { ClockOffset } from '../writer/clock-offset.js';
import { pipelineOf } from '../writer/pipeline-options.js';
import {
  type CheckpointStore,
  type CommitOutcome,
  checkListOptions,
  checkReadOptions,
  checkSaveBatchOptions,
  checkSaveOptions,
  type ListOptions,
  type ReadOptions,
  type SaveBatchOptions,
  type SaveOptions,
  type SaveReceipt,
} from './checkpoint-store.js';
import { CheckpointTable } from './checkpoint-table.js';
import { DirectWrites } from './direct-writes.js';
import { heldRow, heldRows } from './held-rows.js';
import { LatestReader } from './latest-reader.js';
import { OutcomeReader } from './outcome-reader.js';
import { QUEUED_STORE_OPTIONS, type QueuedCheckpointStoreOptions, queuedSettings } from './queued-options.js';
import { checkWaitOptions, inTime, WaitLimit, type WaitOptions } from './wait-limit.js';
import { WriteQueue } from './write-queue.js';

const ASKING_TIME = 'asking for the time';

/**
 * Saves are acknowledged when Redis holds them, and committed by the workers (`CheckpointWriter`) a little later: the save
 * does not wait for PostgreSQL. Reads go straight to PostgreSQL, or to a replica of it, and see what is committed, or with
 * `consistency: 'latest'` wait for what was acknowledged before. At least once and idempotent: the highest version of an
 * id wins, then the latest save, whatever the order of arrival.
 *
 * Limits: `ProducerLimits`. A checkpoint above `maxQueuedBytes` is written directly and is committed when `save` returns.
 */
export class QueuedCheckpointStore implements CheckpointStore {
  readonly #maxQueuedBytes: number;
  readonly #writesThrough: boolean;
  readonly #database: Database;
  readonly #replica: ReadReplica | undefined;
  readonly #queue: WriteQueue;
  readonly #table: CheckpointTable;
  readonly #directWrites: DirectWrites;
  readonly #latest: LatestReader;
  readonly #outcomes: OutcomeReader;
  readonly #pruning: Pruning;
  /** Saves under way that may go past the queue, where the producer's order does not reach. */
  readonly #direct = new Set<Promise<unknown>>();

  /** @throws InvalidConfigError naming the option */
  constructor(options: QueuedCheckpointStoreOptions) {
    checkOptions(options, QUEUED_STORE_OPTIONS, 'QueuedCheckpointStore');
    // Before anything is opened: what throws here could close nothing.
    const { limits, onQueueUnavailable, maxQueuedBytes } = queuedSettings(options);
    this.#writesThrough = onQueueUnavailable === 'write-through';
    this.#maxQueuedBytes = maxQueuedBytes;
    const names = tableNames(options);
    const sink = new CheckpointSink(names);
    const pipeline = pipelineOf(options);
    const { logger, writer, readPostgres } = options;
    this.#database = new Database(options.postgres, { logger });
    this.#replica = openReplica(readPostgres, logger);
    const keys = queueKeys(options);
    const redisTime = () =>
      askWithin(limits.enqueueTimeoutMs, () => redisTimeUs(this.#queue.connection.client, keys), ASKING_TIME);
    const clocks = new ClockOffset(this.#database, redisTime);
    this.#table = new CheckpointTable(this.#database, names, {
      raiseSequence: (above) => this.#queue.producer.raiseSequence(above),
      clocks,
      replica: this.#replica,
    });
    this.#queue = new WriteQueue({
      pipeline,
      limits,
      sink,
      failFast: this.#writesThrough,
      deleted: (letters) => this.#table.deleted(letters.map(({ job }) => job)),
      writer: writer ? { ...(writer === true ? {} : writer), ...pipeline } : undefined,
    });
    this.#latest = new LatestReader(this.#queue.fence, this.#queue.deadLetters, this.#table);
    this.#outcomes = new OutcomeReader(this.#table, this.#queue.deadLetters);
    const pending = pendingFloors(this.#queue.connection.client, keys, destinationOf(sink));
    this.#pruning = new Pruning(this.#database, names, pending);
    this.#directWrites = new DirectWrites({
      producer: this.#queue.producer,
      database: this.#database,
      table: this.#table,
      sink,
      outcomes: this.#outcomes,
      clocks,
      withoutRedis: this.#writesThrough,
    });
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
    this.#queue.assertOpen();
    checkSaveOptions(options);
    const { expectedVersion } = options;
    // Throws at the call, so that nothing keeps what is serialised of a save that is refused. And the save is not awaited here: the
    // function would keep the caller's objects until it is acknowledged.
    const row = heldRow(this.#queue.producer.memory, checkpoint, expectedVersion);
    const saving = this.#save(row, expectedVersion);
    return options.ack === 'committed' ? whenCommitted(saving) : saving;
  }

  /**
   * Saves many at once; not a transaction. All are validated before any is queued, and those that fit into `maxPendingBytes` are
   * saved; then the first error is thrown when every one of them is acknowledged or refused.
   */
  async saveBatch(
    checkpoints: readonly CheckpointInput[],
    options: SaveBatchOptions = {},
  ): Promise<SaveReceipt[]> {
    this.#queue.assertOpen();
    checkSaveBatchOptions(options);
    const rows = heldRows(this.#queue.producer.memory, checkpoints);
    const saves = await Promise.allSettled(
      rows.map((row) => (row instanceof CheckpointRow ? this.#save(row) : Promise.reject(row))),
    );
    const receipts = saves.map((save) => {
      if (save.status === 'rejected') throw save.reason;
      return save.value;
    });
    if (options.ack === 'committed') await Promise.all(receipts.map((receipt) => receipt.committed()));
    return receipts;
  }

  async load(id: string, options: ReadOptions = {}): Promise<Checkpoint> {
    this.#queue.assertOpen();
    checkReadOptions(options, 'load');
    const stored = await this.#latest.load(id, options);
    if (!stored) throw new CheckpointNotFoundError(id);
    return stored.checkpoint;
  }

  async latest(executionId: string, options: ReadOptions = {}): Promise<Checkpoint | undefined> {
    this.#queue.assertOpen();
    checkReadOptions(options, 'latest');
    return (await this.#latest.latest(executionId, options))?.checkpoint;
  }

  /** What PostgreSQL refused is not in the list: see `DeadLetters`. @throws DeadLetteredError where an older state of it would be */
  async list(executionId: string, options: ListOptions = {}): Promise<Checkpoint[]> {
    this.#queue.assertOpen();
    checkListOptions(executionId, options);
    return this.#latest.list(executionId, options);
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
   * Removes old checkpoints, in transactions of up to a thousand rows that stall no writer. What waits in the queue is not seen and
   * stays. Nothing that is removed comes back by a late delivery or a replay: what that could happen to is left to a later prune
   * and counted as `heldBack`. A receipt's `committed()` tells `deleted` for ten minutes after the save.
   * @throws InvalidConfigError, or InvalidCheckpointError for `executionId`, naming the field; QueueUnavailableError, DatabaseError,
   *   ClosedError. What was removed until then stays removed
   */
  async prune(options: PruneOptions): Promise<PruneResult> {
    this.#queue.assertOpen();
    return this.#table.creatingTables(() => this.#pruning.prune(options));
  }

  /**
   * Waits until what this store was acknowledged is committed; with an execution, until all of that execution is,
   * whoever saved it. What Redis itself has lost, in a failover say, nobody waits for: receipts tell, with SaveLostError.
   * @throws AggregateError of DeadLetteredError for each save that PostgreSQL refused: of this store since the last flush, or
   *   of the execution; WriteRefusedError among them for jobs that nobody can read. PendingWritesTimeoutError at `timeoutMs`; the
   *   reason of the signal; InvalidConfigError naming the option
   */
  async flush(executionId?: string, options: WaitOptions = {}): Promise<void> {
    this.#queue.assertOpen();
    checkWaitOptions(options, 'flush');
    if (executionId !== undefined) validName('executionId', executionId);
    await this.#queue.flush(executionId, new WaitLimit(options));
  }

  /** Sends what is still gathered to Redis, then closes. Does not wait for commits: see `flush`. Idempotent. */
  async close(): Promise<void> {
    await this.#queue.close();
    await Promise.all([this.#database.close(), this.#replica?.close()]);
  }

  #save(row: CheckpointRow, expectedVersion?: number): Promise<SaveReceipt> {
    const saving = this.#enqueueOrWrite(row, expectedVersion);
    return this.#writesThrough || expectedVersion !== undefined ? this.#tracked(saving) : saving;
  }

  #tracked<T>(saving: Promise<T>): Promise<T> {
    this.#direct.add(saving);
    const forget = () => void this.#direct.delete(saving);
    saving.then(forget, forget);
    return saving;
  }

  /** Releases the memory of the row when it is saved or refused. */
  async #enqueueOrWrite(row: CheckpointRow, expectedVersion?: number): Promise<SaveReceipt> {
    try {
      if (expectedVersion !== undefined) return await this.#directWrites.compareAndSave(row, expectedVersion);
      if (row.byteLength > this.#maxQueuedBytes) return await this.#directWrites.oversize(row);
      return this.#receipt(row.checkpoint, await this.#queue.enqueue(row));
    } catch (error) {
      const away = error instanceof QueueUnavailableError && expectedVersion === undefined;
      if (!away || !this.#writesThrough) throw error;
      return await this.#directWrites.writeThrough(row);
    } finally {
      this.#queue.producer.memory.release(row.heldBytes);
    }
  }

  #receipt({ id, executionId, version }: SerializedCheckpoint, { jobId, sequence }: Enqueued): SaveReceipt {
    const committed = async (options: WaitOptions = {}): Promise<CommitOutcome> => {
      checkWaitOptions(options, 'committed');
      const limit = new WaitLimit(options);
      await this.#queue.whenDone(jobId, limit);
      return inTime(limit, this.#outcomes.read({ id, executionId, version, sequence }));
    };
    return { id, sequence, committed };
  }

  async #remove(scope: Scope, key: string): Promise<void> {
    this.#queue.assertOpen();
    // After the saves that were called before, acknowledged or not.
    await Promise.allSettled(this.#direct);
    const { producer } = this.#queue;
    const drawn = await producer.nextSequenceInOrder();
    const fence = await this.#table.remove(scope, key, drawn);
    // An older tombstone of a plain store was numbered by a clock ahead of Redis': later saves must come after it.
    if (fence > drawn) await producer.raiseSequence(fence);
  }
}

async function whenCommitted(saving: Promise<SaveReceipt>): Promise<SaveReceipt> {
  const receipt = await saving;
  await receipt.committed();
  return receipt;
}
