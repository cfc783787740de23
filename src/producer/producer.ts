import { setTimeout as delay } from 'node:timers/promises';
import { Queue, type Telemetry } from 'bullmq';
import { type ChunkJob, type EncodableRecord, encodeChunk, executionsOf, jobIdOf } from '../chunk.js';
import { BackpressureError, ClosedError, QueueUnavailableError } from '../errors.js';
import type { Logger } from '../logger.js';
import { silentLogger } from '../logger.js';
import { type RedisConnection, throttledErrorLog } from '../redis/connection.js';
import { withDeadline } from '../redis/deadline.js';
import { jobOptions } from '../redis/job-options.js';
import type { QueueKeys } from '../redis/queue-keys.js';
import { Replicas } from '../redis/replicas.js';
import { retryUntil } from '../redis/retry.js';
import { nextSequence, raiseSequence, reserve } from '../redis/sequence.js';
import { Gathering, type PendingRecord } from './gathering.js';
import { checkLimits, type Enqueued, type ProducerLimits } from './limits.js';

export interface ProducerOptions extends ProducerLimits {
  connection: RedisConnection;
  keys: QueueKeys;
  /** Name of the sink the records are for, and the table it writes to. */
  sink: string;
  target: string;
  /** Reject at once while Redis is known to be away, instead of at the deadline. */
  failFast?: boolean;
  logger?: Logger;
  telemetry?: Telemetry | undefined;
}

/** Adds in flight at once: while they are, later records gather into the next chunk. Four keep Redis busy with 64 savers, and chunks full. */
const MAX_IN_FLIGHT = 4;
/** How often a producer that waits for room in the queue asks again. */
const ROOM_POLL_MS = 50;

/**
 * Hands records to Redis, many in a job. The first record goes out at once; while adds are in flight, later ones gather
 * into the next chunk: no timer stands in the way of an idle agent, and a busy one gets full chunks.
 *
 * A record is acknowledged when Redis holds its chunk and its job. Failed tries are repeated until the deadline under the
 * same job id, so that a lost reply makes no second job. Limits are those of `ProducerLimits`.
 */
export class Producer {
  readonly #options: ProducerOptions;
  readonly #logger: Logger;
  readonly #queue: Queue<ChunkJob>;
  readonly #replicas: Replicas;
  readonly #gathering: Gathering;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #lastSequence = 0;
  /** Deadlines do not run while the queue is full and we wait for room: none ends before this time. */
  #noDeadlineBefore = 0;
  #unavailable = false;
  #dispatchScheduled = false;
  #closed: Promise<void> | undefined;

  constructor(options: ProducerOptions) {
    checkLimits(options);
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
    this.#gathering = new Gathering(options);
    const { queue, prefix } = options.keys;
    const { telemetry } = options;
    this.#queue = new Queue(queue, {
      prefix,
      connection: options.connection.client,
      ...(telemetry && { telemetry }),
    });
    this.#queue.on('error', throttledErrorLog(this.#logger, 'queue error'));
    this.#replicas = new Replicas(options.connection.client, options.keys, options.ackReplicas);
  }

  /** The highest sequence that this producer has seen; 0 before the first. All its later ones are above it. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /**
   * Resolves when Redis holds the record.
   * @throws BackpressureError at a limit, QueueUnavailableError at the deadline, ClosedError
   */
  async enqueue(record: EncodableRecord): Promise<Enqueued> {
    if (this.#closed) throw new ClosedError('producer');
    this.#assertNotAway();
    const acknowledged = this.#gathering.add(record, this.#options.telemetry?.contextManager.active());
    this.#scheduleDispatch();
    return acknowledged;
  }

  /**
   * A sequence for a save that bypasses the queue: above those of all saves before it, acknowledged or not.
   * @throws QueueUnavailableError at the deadline; with `failFast` at once while Redis is known to be away
   */
  async nextSequenceInOrder(): Promise<number> {
    this.#assertNotAway();
    const { connection, enqueueTimeoutMs } = this.#options;
    const deadline = performance.now() + enqueueTimeoutMs;
    this.#dispatch(Number.POSITIVE_INFINITY);
    try {
      // Over one connection what is sent first is numbered first; while it is not there, each is sent again at a time of its own.
      if (!connection.ordered) {
        await withDeadline(deadline, Promise.all(this.#inFlight), 'sending what was saved before');
      }
      const sequence = await this.nextSequence(deadline);
      this.#unavailable = false;
      return sequence;
    } catch (error) {
      if (error instanceof QueueUnavailableError) this.#unavailableBy(error);
      throw error;
    }
  }

  /** Counts the bytes of a save that bypasses the queue as pending while it works. @throws BackpressureError */
  async holding<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    this.#gathering.hold(bytes);
    try {
      return await work();
    } finally {
      this.#gathering.letGo(bytes);
    }
  }

  /** A sequence for an operation that bypasses the queue. @throws QueueUnavailableError */
  async nextSequence(deadline = performance.now() + this.#options.enqueueTimeoutMs): Promise<number> {
    if (this.#closed) throw new ClosedError('producer');
    const { connection, keys } = this.#options;
    const take = () =>
      withDeadline(deadline, nextSequence(connection.client, keys, this.#lastSequence), 'taking a sequence');
    return this.#seen(await retryUntil(() => deadline, take, 'taking a sequence'));
  }

  /** Makes all later sequences, of every producer, higher than this one. @throws QueueUnavailableError */
  async raiseSequence(above: number): Promise<void> {
    const { connection, keys, enqueueTimeoutMs } = this.#options;
    const deadline = performance.now() + enqueueTimeoutMs;
    const raise = () =>
      withDeadline(deadline, raiseSequence(connection.client, keys, above), 'raising the sequence');
    await retryUntil(() => deadline, raise, 'raising the sequence');
  }

  /** A direct write was numbered by PostgreSQL's clock, which may be ahead: what is saved next must be newer. */
  sawSequence(sequence: number): void {
    this.#seen(sequence);
  }

  /** Sends what is gathered, then lets go of the queue. Never waits longer than the deadlines. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#drain();
    return this.#closed;
  }

  async #drain(): Promise<void> {
    while (this.#gathering.records > 0 || this.#inFlight.size > 0) {
      this.#dispatch();
      // Waiting for room has no deadline of its own: closing ends it.
      if (this.#options.onQueueFull === 'wait') this.#closing.abort();
      await Promise.race(this.#inFlight);
    }
    await withDeadline(
      performance.now() + this.#options.enqueueTimeoutMs,
      this.#queue.close(),
      'closing',
    ).catch((error) =>
      this.#logger.warn({ code: (error as { code?: string }).code }, 'queue did not close cleanly'),
    );
  }

  /** At the end of this turn of the event loop, so that saves made together leave together. */
  #scheduleDispatch(): void {
    if (this.#dispatchScheduled || this.#inFlight.size >= MAX_IN_FLIGHT) return;
    this.#dispatchScheduled = true;
    queueMicrotask(() => {
      this.#dispatchScheduled = false;
      this.#dispatch();
    });
  }

  #dispatch(maxInFlight = MAX_IN_FLIGHT): void {
    while (this.#inFlight.size < maxInFlight && this.#gathering.records > 0) {
      const sending = this.#send(this.#gathering.takeChunk()).finally(() => {
        this.#inFlight.delete(sending);
        this.#dispatch();
      });
      this.#inFlight.add(sending);
    }
  }

  async #send(chunk: PendingRecord[]): Promise<void> {
    try {
      const firstSequence = await this.#add(chunk);
      this.#unavailable = false;
      const jobId = jobIdOf(firstSequence);
      for (const [index, { resolve }] of chunk.entries()) resolve({ jobId, sequence: firstSequence + index });
    } catch (error) {
      for (const { reject } of chunk) reject(error);
      if (error instanceof QueueUnavailableError) {
        this.#unavailableBy(error);
        // What gathered meanwhile would wait for the same Redis, one chunk after the other, beyond its deadlines.
        this.#gathering.rejectAll(error);
      }
    } finally {
      this.#gathering.settled(chunk);
    }
  }

  async #add(chunk: PendingRecord[]): Promise<number> {
    const { connection, keys, sink, target, enqueueTimeoutMs, onQueueFull, maxQueueDepth, ackReplicas } =
      this.#options;
    const records = chunk.map(({ record }) => record);
    const executions = executionsOf(records);
    const payload = encodeChunk(executions, records);
    const job: ChunkJob = { sink, target, records: records.length, bytes: payload.length };
    const deadline = () =>
      Math.max((chunk[0] as PendingRecord).savedAt + enqueueTimeoutMs, this.#noDeadlineBefore);
    let reservedJob: { jobId: string; firstSequence: number } | undefined;

    const add = async () => {
      for (;;) {
        const { epoch } = connection;
        const again = reservedJob !== undefined;
        const reservation = {
          records: records.length,
          payload,
          executions,
          above: this.#lastSequence,
          maxQueueDepth,
        };
        const reserved = await withDeadline(
          deadline(),
          reserve(connection.client, keys, reservation, reservedJob),
          'reserving a sequence',
        );
        if (reserved.kind === 'full') {
          if (onQueueFull === 'reject')
            throw new BackpressureError('maxQueueDepth', reserved.depth, maxQueueDepth);
          await this.#waitForRoom();
          continue;
        }
        const firstSequence = this.#seen(reserved.firstSequence, records.length);
        // A second try is for the same: a Redis that restarted in between may have lost what this one has made.
        reservedJob = { jobId: jobIdOf(firstSequence), firstSequence };
        await withDeadline(deadline(), this.#addJob(job, reservedJob.jobId, chunk), 'adding a job');
        if (ackReplicas > 0) {
          await withDeadline(deadline(), this.#replicas.confirm(deadline()), 'waiting for replicas');
        }
        // Had the connection been lost in between, a Redis that restarted could hold the job without its payload.
        if (connection.epoch !== epoch) continue;
        if (!again || !(await this.#lacksPayload(reservedJob.jobId, deadline()))) return firstSequence;
      }
    };
    return retryUntil(deadline, add, 'enqueueing');
  }

  /** In the trace of the chunk's first save: what runs here may have been called by any save before. */
  #addJob(job: ChunkJob, jobId: string, [first]: PendingRecord[]): Promise<unknown> {
    const add = () => this.#queue.add('chunk', job, jobOptions(jobId));
    const { telemetry } = this.#options;
    return telemetry ? telemetry.contextManager.with(first?.context, add) : add();
  }

  #assertNotAway(): void {
    if (this.#options.failFast && this.#unavailable && !this.#options.connection.ready) {
      throw new QueueUnavailableError('Redis is away');
    }
  }

  #unavailableBy({ refused }: QueueUnavailableError): void {
    this.#unavailable = true;
    // A connection that answers is none to give up, whatever it says.
    if (!refused) this.#options.connection.reset();
  }

  /**
   * Whether the job is there without its payload: a worker that was done with the first try may have removed the payload of a
   * second one before its job was added.
   */
  async #lacksPayload(jobId: string, deadline: number): Promise<boolean> {
    const { connection, keys } = this.#options;
    const { client } = connection;
    const found = Promise.all([
      client.exists(keys.payloadPrefix + jobId),
      client.exists(keys.jobPrefix + jobId),
    ]);
    const [payload, job] = await withDeadline(deadline, found, 'looking for the payload');
    return payload === 0 && job === 1;
  }

  async #waitForRoom(): Promise<void> {
    try {
      await delay(ROOM_POLL_MS, undefined, { signal: this.#closing.signal });
    } catch {
      throw new ClosedError('producer');
    }
    this.#noDeadlineBefore = performance.now() + this.#options.enqueueTimeoutMs;
  }

  #seen(firstSequence: number, count = 1): number {
    this.#lastSequence = Math.max(this.#lastSequence, firstSequence + count - 1);
    return firstSequence;
  }
}
