import { EventEmitter } from 'node:events';
import { type Job, UnrecoverableError, WaitingError, Worker } from 'bullmq';
import type { ChunkJob } from '../chunk.js';
import { DatabaseError, InvalidChunkError, InvalidConfigError, MisroutedChunkError } from '../errors.js';
import { type Logger, silentLogger } from '../logger.js';
import { Database } from '../postgres/database.js';
import { tableNames } from '../postgres/identifiers.js';
import { RedisConnection, redisErrorText, throttledErrorLog } from '../redis/connection.js';
import { DeadLetterQueue } from '../redis/dead-letter-queue.js';
import { timerMs } from '../redis/deadline.js';
import { type QueueKeys, queueKeys } from '../redis/queue-keys.js';
import { BatchWriter, type SinkRecords } from './batch-writer.js';
import { Batcher } from './batcher.js';
import { CheckpointSink } from './checkpoint-sink.js';
import { type Chunk, ChunkReader, type PlacedRecord } from './chunk-reader.js';
import { DeadLetterWriter } from './dead-letter-writer.js';
import { JobCleanup } from './job-cleanup.js';
import { OrphanSweep } from './orphan-sweep.js';
import { commitPersistently, NotCommitted } from './persistent-commit.js';
import { type BatchOutcome, RecordRefusedError, type Sink } from './sink.js';
import { type CheckpointWriterOptions, checkWriterOptions, WRITER_DEFAULTS } from './writer-options.js';

export interface WriterStats extends BatchOutcome {
  /** Refused by PostgreSQL for good, and kept among the dead letters. */
  deadLettered: number;
  batches: number;
  records: number;
  bytes: number;
}

/** A committed batch, as the `batch` event tells it. */
export interface BatchEvent extends BatchOutcome {
  records: number;
  bytes: number;
  durationMs: number;
}

// Two kills of its worker would otherwise fail a job: that a worker died says nothing of the job.
const MAX_STALLED_COUNT = 1_000_000_000;
const LOCK_DURATION_MS = 30_000;
// How soon the jobs of a killed worker come back: lock and interval together.
const STALLED_INTERVAL_MS = 10_000;
/** After the deadline of `close`: for giving jobs back and closing connections. */
const CLOSE_GRACE_MS = 2000;
const DEFAULT_DEADLINE_MS = 10_000;

/**
 * One worker replica: takes chunks from the queue and commits them to PostgreSQL in batches. Run as many as you like.
 *
 * A BullMQ worker with many jobs in hand gives each chunk to a batcher and completes the job when its batch is committed,
 * so locks, their renewal and the recovery of a dead worker's jobs stay BullMQ's. Delivery is at least once; applying a
 * record again changes nothing. While PostgreSQL is away the batches in hand are held and tried again.
 *
 * Emits `batch` (BatchEvent) after each commit.
 */
export class CheckpointWriter extends EventEmitter<{ batch: [BatchEvent] }> {
  readonly #options: CheckpointWriterOptions;
  readonly #logger: Logger;
  readonly #keys: QueueKeys;
  readonly #sinks: Map<string, Sink>;
  readonly #database: Database;
  readonly #connection: RedisConnection;
  readonly #batchWriter: BatchWriter;
  readonly #batcher: Batcher<Chunk, void>;
  readonly #reader: ChunkReader;
  readonly #deadLetters: DeadLetterQueue;
  readonly #deadLetterWriter: DeadLetterWriter;
  readonly #cleanup: JobCleanup;
  readonly #orphans: OrphanSweep;
  /** Committed jobs that BullMQ is removing, with the executions whose marks go afterwards. */
  readonly #finishing = new Map<string, readonly string[]>();
  readonly #giveUp = new AbortController();
  readonly #stats: WriterStats = {
    batches: 0,
    records: 0,
    bytes: 0,
    committed: 0,
    superseded: 0,
    deleted: 0,
    deadLettered: 0,
  };
  #worker: ChunkWorker | undefined;
  #closing: Promise<void> | undefined;

  /** @throws InvalidConfigError naming the option. Connects to nothing yet. */
  constructor(options: CheckpointWriterOptions) {
    super();
    checkWriterOptions(options);
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
    this.#keys = queueKeys(options);
    const checkpoints = new CheckpointSink(tableNames(options));
    this.#sinks = new Map([checkpoints, ...(options.sinks ?? [])].map((sink) => [sink.name, sink]));
    const concurrency = options.concurrency ?? WRITER_DEFAULTS.concurrency;
    const maxConcurrent = options.maxConcurrentBatches ?? WRITER_DEFAULTS.maxConcurrentBatches;
    this.#database = new Database(options.postgres, { logger: this.#logger, max: maxConcurrent + 1 });
    this.#connection = new RedisConnection(options.redis, 'worker', this.#logger);
    this.#batchWriter = new BatchWriter(this.#database);
    this.#batcher = new Batcher({
      maxRecords: options.maxBatchRecords ?? WRITER_DEFAULTS.maxBatchRecords,
      maxBytes: options.maxBatchBytes ?? WRITER_DEFAULTS.maxBatchBytes,
      lingerMs: options.lingerMs ?? WRITER_DEFAULTS.lingerMs,
      maxConcurrent,
      maxItems: concurrency,
      commit: (chunks) => this.#commit(chunks),
    });
    const onError = throttledErrorLog(this.#logger, 'finished jobs could not be cleaned up');
    const { client } = this.#connection;
    this.#reader = new ChunkReader(client, this.#keys, this.#sinks);
    this.#deadLetters = new DeadLetterQueue(client, this.#keys, onError);
    this.#deadLetterWriter = new DeadLetterWriter(this.#deadLetters, this.#logger, this.#giveUp.signal);
    this.#cleanup = new JobCleanup(client, this.#keys, onError);
    this.#orphans = new OrphanSweep(client, this.#keys, onError);
  }

  /** What this replica has written since it was made. */
  get stats(): Readonly<WriterStats> {
    return { ...this.#stats };
  }

  /**
   * Brings the tables up to date and begins to take chunks. If PostgreSQL cannot be reached it begins all the same and
   * holds what it takes until it can.
   * @throws SchemaMismatchError if the table is not ours
   */
  async start(): Promise<void> {
    if (this.#worker || this.#closing) throw new InvalidConfigError('start', 'may be called once');
    this.#worker = new ChunkWorker(this.#keys.queue, (job, token) => this.#process(job, token), {
      connection: this.#connection.client,
      prefix: this.#keys.prefix,
      concurrency: this.#options.concurrency ?? WRITER_DEFAULTS.concurrency,
      maxStalledCount: MAX_STALLED_COUNT,
      lockDuration: LOCK_DURATION_MS,
      stalledInterval: STALLED_INTERVAL_MS,
      autorun: false,
    });
    this.#worker.on('error', throttledErrorLog(this.#logger, 'worker error'));
    this.#worker.on('completed', (job) => this.#finished(job.id as string));
    this.#worker.on('failed', (job) => this.#finishing.delete(job?.id as string));
    try {
      await this.#migrate();
    } catch (error) {
      if (this.#closing) return;
      if (!(error instanceof DatabaseError)) {
        await this.close({ deadlineMs: 0 });
        throw error;
      }
      this.#logger.warn({ sqlState: error.sqlState, reason: error.message }, 'PostgreSQL is not ready yet');
    }
    if (this.#closing) return;
    this.#worker
      .run()
      .catch((error) => this.#logger.error({ error: redisErrorText(error) }, 'worker loop ended'));
    this.#orphans.start();
    this.#logger.info(
      { queue: this.#keys.queue, tables: [...this.#sinks.values()].map((s) => s.target) },
      'writer started',
    );
  }

  /**
   * Takes no more chunks, commits those in hand, and lets go of everything. What is not committed at the deadline goes
   * back to the queue. Idempotent.
   * @param deadlineMs default 10,000
   */
  close({ deadlineMs = DEFAULT_DEADLINE_MS }: { deadlineMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(deadlineMs);
    return this.#closing;
  }

  async #close(deadlineMs: number): Promise<void> {
    const inHand = Promise.all([this.#worker?.close(), this.#batcher.drain(), this.#orphans.stop()]);
    const finished = inHand.then(() => this.#cleanup.drain());
    // BullMQ waits for ever for jobs in flight, and for a Redis that is away: the deadline is ours.
    if (!(await settlesWithin(finished, deadlineMs))) {
      this.#giveUp.abort();
      if (!(await settlesWithin(finished, CLOSE_GRACE_MS))) {
        this.#logger.warn(
          {},
          'closed with jobs in hand; they come back to the queue when their locks expire',
        );
        this.#worker?.abandon();
      }
    }
    await settlesWithin(this.#database.close(), CLOSE_GRACE_MS);
    this.#connection.close();
    this.#logger.info({ ...this.#stats }, 'writer closed');
  }

  async #migrate(): Promise<void> {
    for (const sink of this.#sinks.values()) await sink.migrate(this.#database);
  }

  async #process(job: Job<ChunkJob, void>, token: string | undefined): Promise<void> {
    let chunk: Chunk;
    try {
      chunk = await this.#reader.read(job);
    } catch (error) {
      if (error instanceof MisroutedChunkError) {
        // Thrown on, BullMQ gives it to the next worker after a while: somebody has to start the right one.
        this.#logger.error({ jobId: job.id, reason: error.message }, 'job is for another worker');
      }
      if (!(error instanceof InvalidChunkError)) throw error;
      this.#logger.error({ jobId: job.id, reason: error.message }, 'job is kept among the failed ones');
      throw new UnrecoverableError(error.message);
    }
    try {
      await this.#batcher.add(chunk);
    } catch (error) {
      if (!(error instanceof NotCommitted)) throw error;
      await job.moveToWait(token);
      throw new WaitingError();
    }
    // Cleaned up only when BullMQ has removed the job, which it does next.
    this.#finishing.set(job.id as string, chunk.executions);
  }

  #finished(jobId: string): void {
    const executions = this.#finishing.get(jobId);
    if (!executions) return;
    this.#finishing.delete(jobId);
    this.#cleanup.add(jobId, executions);
  }

  /** Commits what PostgreSQL takes, keeps the rest as dead letters; all chunks of a batch end alike. */
  async #commit(chunks: readonly Chunk[]): Promise<PromiseSettledResult<void>[]> {
    const records = chunks.flatMap((chunk) => chunk.records);
    try {
      const refused = await commitPersistently(records, {
        write: (part) => this.#write(part),
        culprit: (error) =>
          error instanceof RecordRefusedError ? (error.record as PlacedRecord) : undefined,
        createSchema: () => this.#migrate(),
        logger: this.#logger,
        signal: this.#giveUp.signal,
      });
      await this.#deadLetterWriter.write(
        refused.map(({ item, error }) => ({ record: item, origin: item.origin, error })),
      );
      this.#stats.deadLettered += refused.length;
      return chunks.map(() => ({ status: 'fulfilled', value: undefined }));
    } catch (reason) {
      return chunks.map(() => ({ status: 'rejected', reason }));
    }
  }

  async #write(records: readonly PlacedRecord[]): Promise<void> {
    const began = performance.now();
    const outcome = await this.#batchWriter.write(bySink(records));
    this.#committed(records, outcome, performance.now() - began);
  }

  #committed(written: readonly PlacedRecord[], outcome: BatchOutcome, durationMs: number): void {
    const records = written.length;
    const bytes = written.reduce((sum, { body }) => sum + body.length, 0);
    for (const [name, count] of Object.entries({ ...outcome, batches: 1, records, bytes })) {
      this.#stats[name as keyof WriterStats] += count;
    }
    this.#cleanup.count(outcome);
    try {
      this.emit('batch', { ...outcome, records, bytes, durationMs });
    } catch {
      // The batch is committed, whatever a listener makes of it: thrown on, it would be written again for ever.
      this.#logger.error({}, 'a listener of the batch event threw');
    }
  }
}

/** A BullMQ worker that can be let go of while its `close` waits for a Redis that is away. */
class ChunkWorker extends Worker<ChunkJob, void> {
  /** Ends the renewal of locks and the connections, which would keep the process alive. */
  abandon(): void {
    void this.lockManager.close();
    this.disconnect().catch(() => {});
  }
}

function bySink(records: readonly PlacedRecord[]): SinkRecords[] {
  const groups = new Map<Sink, PlacedRecord[]>();
  for (const record of records) {
    const { sink } = record.origin;
    const group = groups.get(sink);
    if (group) group.push(record);
    else groups.set(sink, [record]);
  }
  return [...groups].map(([sink, ofSink]) => ({ sink, records: ofSink }));
}

/** Whether it settled, in whichever way, within the time. */
async function settlesWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), timerMs(ms));
  });
  const settled = work.then(
    () => true,
    () => true,
  );
  const result = await Promise.race([settled, expired]);
  clearTimeout(timer);
  return result;
}
