import type { EncodableRecord } from '../chunk.js';
import type { DrainProblem } from '../drain-problem.js';
import { ClosedError, WriteRefusedError } from '../errors.js';
import { type Logger, silentLogger } from '../logger.js';
import type { Enqueued, ProducerLimits } from '../producer/limits.js';
import { Producer } from '../producer/producer.js';
import { RedisConnection } from '../redis/connection.js';
import type { DeadLetterRecord } from '../redis/dead-letter-queue.js';
import { readDrainState } from '../redis/drain-state.js';
import { destinationOf, queueKeys } from '../redis/queue-keys.js';
import { askWithin } from '../redis/retry.js';
import type { PipelineOptions } from '../writer/pipeline-options.js';
import type { Sink } from '../writer/sink.js';
import type { CheckpointWriterOptions } from '../writer/writer-options.js';
import { AcknowledgedJobs } from './acknowledged-jobs.js';
import { CommitWatcher } from './commit-watcher.js';
import { DeadLetterLookup, deadLettered } from './dead-letter-lookup.js';
import { DrainWatch } from './drain-watch.js';
import { EmbeddedWriter } from './embedded-writer.js';
import { DEFAULT_READ_TIMEOUT_MS, LatestFence } from './latest-fence.js';
import { inTime, WaitLimit } from './wait-limit.js';

const EMBEDDED_CLOSE_MS = 10_000;
const DRAIN_LOOK_MS = 2000;
const JOB_FAILED_REASON = 'failedReason';

export interface WriteQueueOptions {
  /** Where. */
  pipeline: PipelineOptions;
  limits: ProducerLimits;
  /** What the records are for. */
  sink: Pick<Sink, 'name' | 'target' | 'check' | 'identify'>;
  /** Reject at once while Redis is known to be away, instead of at the deadline. */
  failFast: boolean;
  /** Of each dead letter, whether what it writes was deleted since, so that nobody misses it. */
  deleted: (letters: readonly DeadLetterRecord[]) => Promise<boolean[]>;
  /** A writer in this process; undefined: none. */
  writer: CheckpointWriterOptions | undefined;
}

/**
 * The queue as a store has it in hand: records go in, and it is known what became of them and whether all of an execution is
 * committed. Owns the Redis connection, and the embedded writer where there is one.
 */
export class WriteQueue {
  readonly connection: RedisConnection;
  readonly producer: Producer;
  readonly deadLetters: DeadLetterLookup;
  readonly fence: LatestFence;
  readonly #watcher: CommitWatcher;
  readonly #acknowledged: AcknowledgedJobs;
  readonly #drain: DrainWatch;
  readonly #jobPrefix: string;
  readonly #logger: Logger;
  readonly #embedded: EmbeddedWriter | undefined;
  #closing: Promise<void> | undefined;

  /** @throws InvalidConfigError naming the option */
  constructor({ pipeline, limits, sink, failFast, deleted, writer }: WriteQueueOptions) {
    const { logger = silentLogger } = pipeline;
    const keys = queueKeys(pipeline);
    this.#logger = logger;
    this.#jobPrefix = keys.jobPrefix;
    this.connection = new RedisConnection(pipeline.redis, keys, 'commands', logger);
    this.producer = new Producer({
      ...limits,
      connection: this.connection,
      keys,
      sink: sink.name,
      target: sink.target,
      failFast,
      logger,
      telemetry: pipeline.telemetry,
    });
    this.#watcher = new CommitWatcher(this.connection, keys, destinationOf(sink));
    this.deadLetters = new DeadLetterLookup(this.connection, keys, sink);
    this.fence = new LatestFence({
      watcher: this.#watcher,
      deadLetters: this.deadLetters,
      deleted,
      refusal: (jobId) => this.#refusal(jobId),
    });
    this.#acknowledged = new AcknowledgedJobs({
      ended: (jobIds) => this.#watcher.ended(jobIds),
      refusals: async (ranges) => (await this.deadLetters.bySequence(ranges)).map(deadLettered),
    });
    const destination = destinationOf(sink);
    this.#drain = new DrainWatch({
      jobIds: () => [...this.#acknowledged.jobIds, ...this.#watcher.awaited],
      ended: (jobIds) => this.#watcher.ended(jobIds),
      state: () => {
        const read = () => readDrainState(this.connection.client, keys, destination);
        return askWithin(DRAIN_LOOK_MS, read, 'looking for workers');
      },
      warn: (problem, message) => warnNotDraining(pipeline, problem, message),
    });
    this.#embedded = writer && new EmbeddedWriter(writer, logger, (error) => this.#watcher.fail(error));
  }

  /**
   * Resolves when Redis holds the record, whose memory the caller has taken.
   * @throws BackpressureError, QueueUnavailableError, ClosedError
   */
  async enqueue(record: EncodableRecord): Promise<Enqueued> {
    const enqueued = await this.producer.enqueueTaken(record);
    this.#acknowledged.add(enqueued);
    this.#drain.touch();
    return enqueued;
  }

  /** Resolves when the job is done. @throws WriteRefusedError if nobody can read it; as `CommitWatcher.whenEnded` */
  async whenDone(jobId: string, limit: WaitLimit): Promise<void> {
    this.#drain.touch();
    const [failed] = await this.#watcher.whenEnded([jobId], limit);
    if (failed) throw await this.#refusal(failed);
  }

  /** Waits for all that is in the queue now for this sink and table, whoever saved it. @throws PendingWritesTimeoutError, WriteRefusedError */
  async whenAllDone(timeoutMs: number): Promise<void> {
    const limit = new WaitLimit({ timeoutMs });
    const jobIds = await this.#watcher.allPending(timeoutMs);
    const [failed] = await this.#watcher.whenEnded(jobIds, limit);
    if (failed) throw await this.#refusal(failed);
  }

  /**
   * Waits until what was acknowledged here is committed; with an execution, until all of that execution is, whoever saved it.
   * @throws AggregateError of DeadLetteredError for each record that PostgreSQL refused: of those acknowledged here since the last
   *   flush, or of the execution; WriteRefusedError among them for jobs that nobody can read; PendingWritesTimeoutError, the reason of
   *   the signal
   */
  async flush(executionId: string | undefined, limit: WaitLimit): Promise<void> {
    this.#drain.touch();
    const jobIds =
      executionId === undefined
        ? this.#acknowledged.jobIds
        : (await inTime(limit, this.#watcher.pending(executionId, DEFAULT_READ_TIMEOUT_MS))).jobIds;
    const failed = await this.#watcher.whenEnded(jobIds, limit);
    const refusals =
      executionId === undefined
        ? await this.#acknowledged.settle(jobIds)
        : (await inTime(limit, this.fence.unresolved(executionId))).map(deadLettered);
    const errors = [...refusals, ...(await Promise.all(failed.map((jobId) => this.#refusal(jobId))))];
    if (errors.length > 0) throw new AggregateError(errors, `${errors.length} saves were refused`);
  }

  /** @throws ClosedError; SchemaMismatchError, InvalidConfigError or RedisAccessError where the embedded writer could not start: nothing would ever be committed */
  assertOpen(): void {
    if (this.#closing) throw new ClosedError('store');
    this.#embedded?.assertStarted();
  }

  /** Sends what is still gathered to Redis, then closes. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.producer.close();
    await this.#closeEmbedded();
    await Promise.all([this.#watcher.close(), this.#drain.close()]);
    await this.#acknowledged.settled();
    this.connection.close();
  }

  /** Nobody else may commit what was saved here: it is waited for, and otherwise waits in the queue for the next start. */
  async #closeEmbedded(): Promise<void> {
    if (!this.#embedded) return;
    const deadline = performance.now() + EMBEDDED_CLOSE_MS;
    const awaited = this.#embedded.failed ? [] : this.#acknowledged.jobIds;
    await this.#watcher.whenEnded(awaited, new WaitLimit({ timeoutMs: EMBEDDED_CLOSE_MS })).catch((error) => {
      this.#logger.warn({ code: error.code }, 'closed before all that was saved here is committed');
    });
    await this.#embedded.close(Math.max(0, deadline - performance.now()));
  }

  async #refusal(jobId: string): Promise<WriteRefusedError> {
    const reason = await this.connection.client
      .hget(this.#jobPrefix + jobId, JOB_FAILED_REASON)
      .catch(() => 'Redis did not tell the reason');
    return new WriteRefusedError(jobId, reason ?? 'the reason is gone');
  }
}

/** Queues of which the process has warned: an application may have a store for each agent. */
const WARNED = new Set<string>();

/** To the logger, or without one as a warning of the process: the library is silent by default, and this must not be. */
function warnNotDraining({ logger, queue }: PipelineOptions, reason: DrainProblem, message: string): void {
  const code = 'QUEUE_NOT_DRAINING';
  if (logger) {
    logger.warn({ code, reason }, message);
    return;
  }
  const warned = `${queue} ${reason}`;
  if (WARNED.has(warned)) return;
  WARNED.add(warned);
  process.emitWarning(message, { type: 'CheckpointQueueWarning', code });
}
