import type { RunnableConfig } from '@langchain/core/runnables';
import {
  BaseCheckpointSaver,
  type ChannelVersions,
  type Checkpoint,
  type CheckpointListOptions,
  type CheckpointMetadata,
  type CheckpointTuple,
  type DeltaChannelHistory,
  type PendingWrite,
} from '@langchain/langgraph-checkpoint';
import { InvalidCheckpointError } from '../errors.js';
import { Database } from '../postgres/database.js';
import { graphReadSql } from '../postgres/graph-reads.js';
import { graphTableNames, graphTableSql } from '../postgres/graph-tables.js';
import { openReplica, type ReadReplica } from '../postgres/read-replica.js';
import type { DeadLetterRecord } from '../redis/dead-letter-job.js';
import { creatingMissingTables } from '../store/creating-tables.js';
import { deadLettered } from '../store/dead-letter-lookup.js';
import { checkWaitOptions, inTime, WaitLimit, type WaitOptions } from '../store/wait-limit.js';
import { WriteQueue } from '../store/write-queue.js';
import { configOf, limitOf, placeOf, validThreadId, writePlace } from './configs.js';
import { GraphEncoder, serializedBy } from './graph-encoder.js';
import { GraphSink } from './graph-sink.js';
import { GraphWrites } from './graph-writes.js';
import { Puts } from './puts.js';
import { type QueuedPostgresSaverOptions, type SaverSettings, saverSettings } from './saver-options.js';
import { type Reading, ThreadReader } from './thread-reader.js';
import {
  type CopyResult,
  type ListThreadsOptions,
  type PruneOptions,
  type PruneResult,
  type ThreadSummary,
  Threads,
} from './threads.js';

/**
 * A LangGraph.js checkpointer on the tables of `PostgresSaver`. `put` and `putWrites` resolve when Redis holds what they were given;
 * workers (`ckpt worker`, or the option `writer`) commit it to PostgreSQL in large batches a little later. Reads go to PostgreSQL,
 * and wait first until all that was put of the thread before is committed: a graph that is resumed elsewhere sees all of it, or
 * the read throws; never an older state.
 *
 * What Redis does not take within its deadline is written straight to PostgreSQL. Limits: `ProducerLimits`; thread ids have up to
 * 512 bytes.
 */
export class QueuedPostgresSaver extends BaseCheckpointSaver {
  readonly #settings: SaverSettings;
  readonly #database: Database;
  readonly #replica: ReadReplica | undefined;
  readonly #queue: WriteQueue;
  readonly #sink: GraphSink;
  readonly #writes: GraphWrites;
  readonly #encoder: GraphEncoder;
  readonly #reader: ThreadReader;
  readonly #threads: Threads;
  readonly #puts: Puts;
  #ending: Promise<void> | undefined;

  /** Connects to nothing yet. @throws InvalidConfigError naming the option */
  constructor(options: QueuedPostgresSaverOptions) {
    super(options?.serde);
    this.#settings = saverSettings(options);
    const { redis, postgres, readPostgres, queue, prefix, logger, telemetry, writer } = options;
    const names = graphTableNames(options.schema);
    const sql = graphTableSql(names);
    const pipeline = { redis, postgres, queue, prefix, logger, telemetry };
    this.#sink = new GraphSink(names);
    this.#database = new Database(postgres, { logger });
    this.#replica = openReplica(readPostgres, logger);
    const creatingTables = <T>(work: () => Promise<T>) => creatingMissingTables(work, () => this.setup());
    const query = (text: string, values: unknown[]) =>
      creatingTables(() => this.#database.query(text, values));
    this.#queue = new WriteQueue({
      pipeline,
      limits: this.#settings.limits,
      sink: this.#sink,
      failFast: true,
      deleted: (letters) => this.#deleted(letters, (values) => query(sql.isBuried, values)),
      writer: writer
        ? { ...(writer === true ? {} : writer), ...pipeline, checkpoints: false, sinks: [this.#sink] }
        : undefined,
    });
    const { maxQueuedBytes } = this.#settings;
    this.#writes = new GraphWrites({
      queue: this.#queue,
      database: this.#database,
      sink: this.#sink,
      sql,
      maxQueuedBytes,
      creatingTables,
    });
    this.#puts = new Puts(this.#queue.producer.memory, this.#writes);
    this.#encoder = new GraphEncoder(this.serde);
    const reading: Reading = (read) => this.#replica?.read(read, () => read(query)) ?? read(query);
    this.#reader = new ThreadReader(reading, graphReadSql(names), this.serde);
    this.#threads = new Threads({
      database: this.#database,
      names,
      producer: this.#queue.producer,
      creatingTables,
      whenCommitted: (threadId) => this.#passFence(threadId, 'latest'),
    });
  }

  /**
   * The next version of a channel: the next whole number and a random fraction. Two branches of a thread go on from the same
   * version, and the tables hold one value for a version: with whole numbers alone, as PostgresSaver counts, the values of the
   * second branch are lost.
   */
  override getNextVersion(current: number | undefined): number {
    return Math.floor(super.getNextVersion(current)) + Math.random();
  }

  /**
   * Creates the tables, or adds to those of PostgresSaver what is needed here. Any number of processes may call it at once.
   * @throws SchemaMismatchError, DatabaseError
   */
  async setup(): Promise<void> {
    await this.#sink.migrate(this.#database);
  }

  /**
   * @throws PendingWritesTimeoutError, QueueUnavailableError, DeadLetteredError where what was put before cannot be seen;
   *   DatabaseError, ClosedError
   */
  async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    const { threadId, namespace = '', checkpointId } = placeOf(config);
    this.#queue.assertOpen();
    if (threadId === undefined) return undefined;
    await this.#passFence(threadId);
    return this.#reader.find(threadId, namespace, checkpointId);
  }

  /** Newest first. Without a thread it waits for all that is in the queue. @throws InvalidConfigError naming `limit`; as `getTuple` */
  async *list(config: RunnableConfig, options?: CheckpointListOptions): AsyncGenerator<CheckpointTuple> {
    const { filter, before, ...page } = options ?? {};
    const limit = limitOf(page.limit);
    const place = placeOf(config);
    this.#queue.assertOpen();
    await this.#passFence(place.threadId);
    const below = before && placeOf(before).checkpointId;
    yield* this.#reader.list({ ...place, filter, before: below, limit });
  }

  /**
   * Resolves when Redis, or failing that PostgreSQL, holds the checkpoint and the values that are new in it.
   * @throws InvalidCheckpointError naming the field; QueueUnavailableError, BackpressureError, DatabaseError, ClosedError
   */
  async put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: ChannelVersions,
  ): Promise<RunnableConfig> {
    this.#queue.assertOpen();
    const { threadId, namespace, checkpointId } = writePlace(config);
    const place = { threadId, namespace, parentId: checkpointId };
    const encode = () => this.#encoder.checkpoint(place, checkpoint, metadata, newVersions);
    const putConfig = configOf(threadId, namespace, checkpoint.id);
    return this.#puts.write(serializedBy(checkpoint, metadata, newVersions), encode).then(() => putConfig);
  }

  /** As `put`. */
  async putWrites(
    config: RunnableConfig,
    writes: PendingWrite[],
    taskId: string,
    taskPath = '',
  ): Promise<void> {
    this.#queue.assertOpen();
    const { threadId, namespace, checkpointId } = writePlace(config);
    if (checkpointId === undefined) throw new InvalidCheckpointError('checkpoint_id', 'is missing');
    if (writes.length === 0) return;
    const encode = () =>
      this.#encoder.writes({ threadId, namespace, checkpointId }, writes, taskId, taskPath);
    return this.#puts.write(writes, encode);
  }

  /**
   * Deletes all of a thread for good: nothing of what was put before comes back.
   * @throws QueueUnavailableError without Redis, DatabaseError, ClosedError
   */
  async deleteThread(threadId: string): Promise<void> {
    this.#queue.assertOpen();
    const valid = validThreadId(threadId);
    // What is written past Redis has no place in the order of the producer.
    await this.#puts.settled();
    await this.#writes.remove(valid);
  }

  /** @throws as `getTuple` */
  override async getDeltaChannelHistory({
    config,
    channels,
  }: {
    config: RunnableConfig;
    channels: string[];
  }): Promise<Record<string, DeltaChannelHistory>> {
    const { threadId, namespace = '', checkpointId } = placeOf(config);
    this.#queue.assertOpen();
    if (channels.length === 0) return {};
    if (threadId !== undefined) await this.#passFence(threadId);
    return this.#reader.history(threadId ?? '', namespace, checkpointId, channels);
  }

  /**
   * Waits until what was put here is committed; with a thread, until all of that thread is, whoever put it.
   * @throws AggregateError of DeadLetteredError for what PostgreSQL refused; PendingWritesTimeoutError at `timeoutMs`, the reason of the
   *   signal, InvalidConfigError naming the option
   */
  async flush(threadId?: string, options: WaitOptions = {}): Promise<void> {
    this.#queue.assertOpen();
    checkWaitOptions(options, 'flush');
    const thread = threadId === undefined ? undefined : validThreadId(threadId);
    const limit = new WaitLimit(options);
    await inTime(
      limit,
      this.#puts.settled().then(() => true as const),
    );
    await this.#queue.flush(thread, limit);
  }

  /** Threads by their id, with the newest checkpoint of each. Sees what is committed. @throws InvalidConfigError, DatabaseError */
  async listThreads(options: ListThreadsOptions = {}): Promise<ThreadSummary[]> {
    this.#queue.assertOpen();
    return this.#threads.list(options);
  }

  /**
   * Deletes old checkpoints, in small transactions, with what no checkpoint that is kept needs.
   * @throws InvalidConfigError naming the option; DatabaseError
   */
  async pruneThreads(options: PruneOptions): Promise<PruneResult> {
    this.#queue.assertOpen();
    return this.#threads.prune(options);
  }

  /**
   * Copies all of a thread to another one, which must have nothing yet.
   * @throws InvalidCheckpointError naming `from` or `to`; as `getTuple`
   */
  async copyThread(from: string, to: string): Promise<CopyResult> {
    this.#queue.assertOpen();
    const threads = { from: validThreadId(from, 'from'), to: validThreadId(to, 'to') };
    await this.#puts.encoded();
    await this.#passFence(threads.from, 'latest');
    await this.#passFence(threads.to, 'latest');
    return this.#threads.copy(threads);
  }

  /** Sends what is still on its way to Redis, then closes all that it opened. Does not wait for commits: see `flush`. Idempotent. */
  end(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    await this.#puts.encoded();
    await this.#queue.close();
    await this.#puts.settled();
    await Promise.all([this.#database.close(), this.#replica?.close()]);
  }

  async #passFence(
    threadId: string | undefined,
    consistency: 'latest' | 'committed' = this.#settings.consistency,
  ): Promise<void> {
    const { readTimeoutMs: timeoutMs } = this.#settings;
    if (consistency === 'committed') return;
    if (threadId === undefined) return this.#queue.whenAllDone(timeoutMs);
    const { fence } = this.#queue;
    if (!(await fence.pass(threadId, { consistency, timeoutMs }))) return;
    // A later checkpoint has values of earlier ones: with any of them missing it would not be whole.
    const [letter] = await fence.unresolved(threadId);
    if (letter) throw deadLettered(letter);
  }

  async #deleted(
    letters: readonly DeadLetterRecord[],
    ask: (values: unknown[]) => Promise<Array<Record<string, string | null>>>,
  ): Promise<boolean[]> {
    const asked = letters.map(({ job }) => ask([job.executionId, job.sequence]));
    return (await Promise.all(asked)).map(([row]) => row?.buried === 't');
  }
}
