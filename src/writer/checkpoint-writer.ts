import { EventEmitter } from 'node:events';
import type { Telemetry } from 'bullmq';
import { type CloseOptions, deadlineOf } from '../close-options.js';
import { DatabaseError, InvalidConfigError, type RedisAccessError } from '../errors.js';
import { type Logger, silentLogger } from '../logger.js';
import { Database, type PoolUse } from '../postgres/database.js';
import { tableNames } from '../postgres/identifiers.js';
import { logNotReady } from '../postgres/not-ready-log.js';
import { RedisClock, redisTimeUs } from '../redis/clock.js';
import { RedisConnection, redisErrorText, throttledErrorLog } from '../redis/connection.js';
import { DeadLetterQueue } from '../redis/dead-letter-queue.js';
import { destinationOf, type QueueKeys, queueKeys } from '../redis/queue-keys.js';
import { assertRights, WORKER_COMMANDS } from '../redis/rights.js';
import { REPORT_INTERVAL_MS, WorkerRegistry } from '../redis/worker-registry.js';
import { RetentionSchedule } from '../retention/retention-schedule.js';
import { BatchCommitter, type BatchEvent, type WriterStats } from './batch-committer.js';
import { Batcher } from './batcher.js';
import { CHECKPOINT_SINK } from './checkpoint-sink.js';
import { type WriterChores, writerChores } from './chores.js';
import { ChunkProcessor } from './chunk-processor.js';
import { type Chunk, ChunkReader } from './chunk-reader.js';
import { type BreakerState, CircuitBreaker } from './circuit-breaker.js';
import { ClockOffset } from './clock-offset.js';
import { DeadLetterWriter } from './dead-letter-writer.js';
import { JobCleanup } from './job-cleanup.js';
import { Maintenance, maintenanceErrorLog } from './maintenance.js';
import { MisroutedJobs } from './misrouted-jobs.js';
import { Quarantine } from './quarantine.js';
import { openQueueWorker, type QueueWorker } from './queue-worker.js';
import { SetAsideJobs } from './set-aside.js';
import { type ShutdownParts, shutDown } from './shutdown.js';
import type { Sink } from './sink.js';
import type { WriterEvents, WriterState } from './writer-events.js';
import { type CheckpointWriterOptions, checkedOptions, type WriterSettings } from './writer-options.js';
import { writerSinks } from './writer-sinks.js';

/**
 * One worker replica: takes chunks from the queue and commits them to PostgreSQL in batches. Run as many as you like.
 *
 * A BullMQ worker with many jobs in hand gives each chunk to a batcher and completes the job when its batch is committed,
 * so locks, their renewal and the recovery of a dead worker's jobs stay BullMQ's. Delivery is at least once; applying a
 * record again changes nothing. While PostgreSQL is away the batches in hand are held and tried again.
 *
 * Emits `batch` (BatchEvent) after each commit, `retry` (Failure) when a batch was not committed and is held to be tried again,
 * `breaker` (BreakerState) when PostgreSQL becomes unavailable, or available again: in between it takes no new jobs; and
 * `retention` (RetentionResult) after a run of the retention in this replica.
 */
export class CheckpointWriter extends EventEmitter<WriterEvents> {
  readonly #settings: WriterSettings;
  readonly #logger: Logger;
  readonly #telemetry: Telemetry | undefined;
  readonly #keys: QueueKeys;
  readonly #sinks: ReadonlyMap<string, Sink>;
  readonly #database: Database;
  readonly #connection: RedisConnection;
  readonly #committer: BatchCommitter;
  readonly #batcher: Batcher<Chunk, void>;
  readonly #breaker = new CircuitBreaker((state) => this.#breakerChanged(state));
  readonly #processor: ChunkProcessor;
  readonly #deadLetters: DeadLetterQueue;
  readonly #cleanup: JobCleanup;
  readonly #chores: WriterChores;
  readonly #maintenance: Maintenance;
  readonly #registry: WorkerRegistry;
  readonly #clock: RedisClock;
  readonly #retention: RetentionSchedule | undefined;
  readonly #giveUp = new AbortController();
  readonly #onWorkerError: (error: unknown) => void;
  #worker: QueueWorker | undefined;
  #loop: Exclude<WriterState, 'closing'> = 'new';
  #closing: Promise<void> | undefined;

  /** @throws InvalidConfigError naming the option. Connects to nothing yet. */
  constructor(options: CheckpointWriterOptions) {
    super();
    const { settings, retention } = checkedOptions(options);
    this.#settings = settings;
    this.#logger = options.logger ?? silentLogger;
    this.#telemetry = options.telemetry;
    this.#keys = queueKeys(options);
    const names = tableNames(options);
    this.#sinks = writerSinks(options, names);
    const { concurrency, maxConcurrentBatches, maxBatchRecords, maxBatchBytes, lingerMs, tombstoneDays } =
      this.#settings;
    this.#database = new Database(options.postgres, { logger: this.#logger, max: maxConcurrentBatches + 1 });
    this.#connection = new RedisConnection(options.redis, this.#keys, 'worker', this.#logger);
    this.#onWorkerError = throttledErrorLog(this.#logger, 'worker error');
    const { client } = this.#connection;
    const onError = throttledErrorLog(this.#logger, 'finished jobs could not be cleaned up');
    this.#cleanup = new JobCleanup(client, this.#keys, onError);
    this.#deadLetters = new DeadLetterQueue(client, this.#keys, onError);
    this.#clock = new RedisClock(client, this.#keys);
    const clocks = new ClockOffset(this.#database, () => redisTimeUs(client, this.#keys));
    const { signal } = this.#giveUp;
    this.#committer = new BatchCommitter({
      database: this.#database,
      sinks: [...this.#sinks.values()],
      deadLetters: new DeadLetterWriter(this.#deadLetters, this.#logger, signal),
      breaker: this.#breaker,
      logger: this.#logger,
      signal,
      onBatch: (event) => this.#committed(event),
      onRetry: (failure) => this.#tell(() => this.emit('retry', failure)),
      nowUs: () => this.#clock.nowUs(),
      clocks,
    });
    const place = { client, keys: this.#keys, database: this.#database, deadLetters: this.#deadLetters };
    this.#chores = writerChores({
      ...place,
      queue: () => this.#worker,
      sinks: [...this.#sinks.values()],
      ...{ tombstoneDays, clocks, logger: this.#logger },
    });
    if (retention !== undefined) {
      const destination = { sink: CHECKPOINT_SINK, target: names.label };
      this.#retention = new RetentionSchedule({
        place: { ...place, names, destination },
        settings: retention,
        lockDurationMs: this.#settings.lockDurationMs,
        logger: this.#logger,
        onRun: (result) => this.#tell(() => this.emit('retention', result)),
      });
      this.#chores.chores.push(this.#retention.chore);
    }
    this.#registry = new WorkerRegistry(client, this.#keys, [...this.#sinks.values()].map(destinationOf));
    this.#chores.chores.push({ intervalMs: REPORT_INTERVAL_MS, run: () => this.#report() });
    this.#maintenance = new Maintenance(this.#chores.chores, maintenanceErrorLog(this.#logger));
    this.#batcher = new Batcher({
      maxRecords: maxBatchRecords,
      maxBytes: maxBatchBytes,
      lingerMs,
      maxConcurrent: maxConcurrentBatches,
      maxItems: concurrency,
      commit: (chunks) => this.#committer.commit(chunks),
    });
    this.#processor = new ChunkProcessor({
      reader: new ChunkReader(client, this.#keys, this.#sinks, this.#clock),
      batcher: this.#batcher,
      quarantine: new Quarantine(client, this.#keys, this.#committer, this.#logger),
      setAsideJobs: new SetAsideJobs(this.#committer, concurrency),
      misrouted: new MisroutedJobs(client, this.#keys, this.#clock, this.#logger),
      cleanup: this.#cleanup,
      logger: this.#logger,
    });
  }

  /** Whether this replica can write. */
  get breaker(): BreakerState {
    return this.#breaker.state;
  }

  get state(): WriterState {
    return this.#closing ? 'closing' : this.#loop;
  }

  /** Why the Redis user may not take jobs, while it may not: this replica asks again every few seconds. */
  get redisRefusal(): RedisAccessError | undefined {
    return this.#connection.refusal ?? this.#worker?.refusal;
  }

  /** Its connections to PostgreSQL; undefined for a pool of yours that does not tell. */
  get pool(): PoolUse | undefined {
    return this.#database.use;
  }

  /** What this replica has written since it was made. */
  get stats(): Readonly<WriterStats> {
    return this.#committer.stats;
  }

  /**
   * Brings the tables up to date and begins to take chunks. If PostgreSQL cannot be reached it begins all the same and
   * holds what it takes until it can.
   * @throws SchemaMismatchError if the table is not ours; InvalidConfigError naming `postgres` if the database is not in UTF-8;
   *   RedisAccessError if Redis answers, and refuses the user, its password or a command that a worker needs
   */
  async start(): Promise<void> {
    if (this.#worker || this.#closing) throw new InvalidConfigError('start', 'may be called once');
    this.#worker = openQueueWorker({
      connection: this.#connection,
      keys: this.#keys,
      settings: this.#settings,
      telemetry: this.#telemetry,
      process: (job, token) => this.#processor.process(job, token),
      onError: this.#onWorkerError,
      onCompleted: (job) => this.#processor.finished(job),
    });
    try {
      await Promise.all([
        assertRights(this.#connection, this.#keys, WORKER_COMMANDS),
        this.#committer.migrate().catch((error) => this.#notMigrated(error)),
      ]);
    } catch (error) {
      if (this.#closing) return;
      await this.close({ deadlineMs: 0 });
      throw error;
    }
    if (this.#closing) return;
    this.#loop = 'running';
    this.#worker
      .run()
      .catch((error) => this.#logger.error({ error: redisErrorText(error) }, 'worker loop ended'))
      .finally(() => {
        this.#loop = 'ended';
      });
    this.#maintenance.start();
    this.#retention?.start();
    this.#report().catch(this.#onWorkerError);
    this.#logger.info(
      { queue: this.#keys.queue, tables: [...this.#sinks.values()].map((s) => s.target) },
      'writer started',
    );
  }

  /**
   * Takes no more chunks, commits those in hand, and lets go of everything. What is not committed at the deadline goes
   * back to the queue. Idempotent.
   * @throws InvalidConfigError naming the option, and closes nothing
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const deadlineMs = deadlineOf(options);
    this.#closing ??= this.#close(deadlineMs);
    await this.#closing;
  }

  async #close(deadlineMs: number): Promise<void> {
    const inHand = Promise.all([
      this.#worker?.close(),
      this.#batcher.drain(),
      this.#maintenance.stop(),
      this.#retention?.close(),
    ]);
    const parts: ShutdownParts = {
      finished: inHand.then(() => this.#cleanup.drain()),
      inHand: () => this.#processor.inHand,
      redisReady: () => this.#connection.ready,
      giveUp: () => this.#giveUp.abort(),
      abandon: () => {
        this.#worker?.abandon();
        this.#retention?.abandon();
      },
      closeQueues: () =>
        Promise.all([
          this.#deadLetters.close(),
          this.#chores.close(),
          this.#worker && this.#registry.leave(),
        ]),
      closeDatabase: () => this.#database.close(),
      logger: this.#logger,
    };
    await shutDown(parts, deadlineMs);
    this.#connection.close();
    this.#logger.info({ ...this.stats }, 'writer closed');
  }

  /** @throws what does not go away by itself */
  #notMigrated(error: unknown): void {
    if (this.#closing) return;
    if (!(error instanceof DatabaseError)) throw error;
    logNotReady(this.#logger, error);
  }

  /** For operators only: what it comes to does not matter. */
  async #report(): Promise<void> {
    const { state: breaker, since: breakerSince, failure, sqlState } = this.#breaker.state;
    const report = this.#registry.report({ breaker, breakerSince, failure, sqlState });
    await Promise.all([report, this.#clock.adjust()]);
  }

  #committed(event: BatchEvent): void {
    this.#cleanup.count(event);
    this.#tell(() => this.emit('batch', event));
  }

  #breakerChanged(breaker: BreakerState): void {
    const { state, failure, sqlState } = breaker;
    if (state === 'open') {
      this.#logger.error(
        { failure, sqlState },
        'PostgreSQL is unavailable: taking no new jobs until it is back',
      );
      this.#worker?.pause(true).catch(this.#onWorkerError);
    } else {
      this.#logger.info({}, 'PostgreSQL is available again');
      if (!this.#closing) this.#worker?.resume().catch(this.#onWorkerError);
    }
    this.#report().catch(this.#onWorkerError);
    this.#tell(() => this.emit('breaker', breaker));
  }

  /** What a listener throws is its own affair: thrown on, a committed batch would be written again for ever. */
  #tell(emit: () => void): void {
    try {
      emit();
    } catch {
      this.#logger.error({}, 'a listener threw');
    }
  }
}
