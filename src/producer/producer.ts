import { Queue, type Telemetry } from 'bullmq';
import { type ChunkJob, type EncodableRecord, jobIdOf } from '../chunk.js';
import { errorCopy } from '../error-copy.js';
import { ClosedError, QueueUnavailableError } from '../errors.js';
import type { Logger } from '../logger.js';
import { silentLogger } from '../logger.js';
import { PendingMemory } from '../pending-memory.js';
import { type RedisConnection, throttledErrorLog } from '../redis/connection.js';
import { withDeadline } from '../redis/deadline.js';
import type { QueueKeys } from '../redis/queue-keys.js';
import { ChunkSender } from './chunk-sender.js';
import { Gathering, type PendingRecord } from './gathering.js';
import { checkLimits, type Enqueued, type ProducerLimits } from './limits.js';
import { SequenceClock } from './sequence-clock.js';

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

/**
 * Hands records to Redis, many in a job. The first record goes out at once; while adds are in flight, later ones gather
 * into the next chunk: no timer stands in the way of an idle agent, and a busy one gets full chunks.
 *
 * A record is acknowledged when Redis holds its chunk and its job. Failed tries are repeated until the deadline under the
 * same job id, so that a lost reply makes no second job. Limits are those of `ProducerLimits`.
 */
export class Producer {
  /** Of what is not acknowledged yet, whether it goes by the queue or past it. */
  readonly memory: PendingMemory;
  readonly #options: ProducerOptions;
  readonly #logger: Logger;
  readonly #queue: Queue<ChunkJob>;
  readonly #clock: SequenceClock;
  readonly #sender: ChunkSender;
  readonly #gathering: Gathering;
  readonly #inFlight = new Set<Promise<void>>();
  #unavailable = false;
  #dispatchScheduled = false;
  #closed: Promise<void> | undefined;

  constructor(options: ProducerOptions) {
    checkLimits(options);
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
    this.memory = new PendingMemory(options.maxPendingBytes);
    this.#gathering = new Gathering(options);
    const { queue, prefix } = options.keys;
    const { telemetry } = options;
    this.#queue = new Queue(queue, {
      prefix,
      connection: options.connection.client,
      // It asks INFO, which a user need not be allowed.
      skipVersionCheck: true,
      ...(telemetry && { telemetry }),
    });
    this.#queue.on('error', throttledErrorLog(this.#logger, 'queue error'));
    this.#clock = new SequenceClock(options.connection, options.keys);
    this.#sender = new ChunkSender({ ...options, queue: this.#queue, clock: this.#clock });
  }

  /** The highest sequence that this producer has seen; 0 before the first. All its later ones are above it. */
  get lastSequence(): number {
    return this.#clock.last;
  }

  /**
   * Takes the memory of the record and resolves when Redis holds it.
   * @throws BackpressureError at a limit, QueueUnavailableError at the deadline, ClosedError
   */
  async enqueue(record: EncodableRecord): Promise<Enqueued> {
    this.memory.take(record.byteLength);
    return this.enqueueTaken(record).finally(() => this.memory.release(record.byteLength));
  }

  /** As `enqueue`, for a record whose memory is taken by the caller, who also releases it. */
  async enqueueTaken(record: EncodableRecord): Promise<Enqueued> {
    this.#assertOpen();
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
    this.#assertOpen();
    this.#assertNotAway();
    const deadline = this.#deadline();
    this.#dispatch(Number.POSITIVE_INFINITY);
    try {
      // A chunk that waits for room in the queue has no deadline.
      const numbered = this.#clock.inOrder(() => this.#clock.next(deadline));
      const sequence = await withDeadline(deadline, numbered, 'numbering what was saved before');
      this.#unavailable = false;
      return sequence;
    } catch (error) {
      if (error instanceof QueueUnavailableError) this.#unavailableBy(error);
      throw error;
    }
  }

  /** A sequence for an operation that bypasses the queue. @throws QueueUnavailableError, SequenceOutOfRangeError */
  async nextSequence(): Promise<number> {
    this.#assertOpen();
    return this.#clock.next(this.#deadline());
  }

  /** Makes all later sequences, of every producer, higher than this one. @throws as `nextSequence` */
  raiseSequence(above: number): Promise<void> {
    return this.#clock.raise(above, this.#deadline());
  }

  /** A direct write was numbered by PostgreSQL's clock, which may be ahead: what is saved next must be newer. */
  sawSequence(sequence: number): void {
    this.#clock.observe(sequence);
  }

  /** Sends what is gathered, then lets go of the queue. Never waits longer than the deadlines. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#drain();
    return this.#closed;
  }

  async #drain(): Promise<void> {
    while (this.#gathering.records > 0 || this.#inFlight.size > 0) {
      this.#dispatch();
      this.#sender.stopWaiting();
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
      const firstSequence = await this.#sender.send(chunk);
      this.#unavailable = false;
      const jobId = jobIdOf(firstSequence);
      for (const [index, { resolve }] of chunk.entries()) resolve({ jobId, sequence: firstSequence + index });
    } catch (error) {
      for (const { reject } of chunk) reject(errorCopy(error));
      if (error instanceof QueueUnavailableError) {
        this.#unavailableBy(error);
        // What gathered meanwhile would wait for the same Redis, one chunk after the other, beyond its deadlines.
        this.#gathering.rejectAll(error);
      }
    }
  }

  #deadline(): number {
    return performance.now() + this.#options.enqueueTimeoutMs;
  }

  #assertOpen(): void {
    if (this.#closed) throw new ClosedError('producer');
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
}
