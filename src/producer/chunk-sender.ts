import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Queue, Telemetry } from 'bullmq';
import { type ChunkJob, encodeChunk, executionsOf, jobIdOf } from '../chunk.js';
import { BackpressureError, ClosedError, QueueUnavailableError, RedisAccessError } from '../errors.js';
import { redisTimeUs } from '../redis/clock.js';
import type { RedisConnection } from '../redis/connection.js';
import { withDeadline } from '../redis/deadline.js';
import { jobOptions } from '../redis/job-options.js';
import { markOf, type QueueKeys } from '../redis/queue-keys.js';
import { Replicas } from '../redis/replicas.js';
import { retryUntil } from '../redis/retry.js';
import { checkRights, PRODUCER_COMMANDS } from '../redis/rights.js';
import { release, reserve } from '../redis/sequence.js';
import type { PendingRecord } from './gathering.js';
import type { ProducerLimits } from './limits.js';
import type { SequenceClock } from './sequence-clock.js';

export interface ChunkSenderOptions
  extends Pick<ProducerLimits, 'enqueueTimeoutMs' | 'maxQueueDepth' | 'onQueueFull' | 'ackReplicas'> {
  connection: RedisConnection;
  keys: QueueKeys;
  queue: Queue<ChunkJob>;
  clock: SequenceClock;
  /** Name of the sink the records are for, and the table it writes to. */
  sink: string;
  target: string;
  telemetry?: Telemetry | undefined;
}

/**
 * A chunk that may have been without its job for longer may have got it from a worker (`LostJobs`), be committed and cleaned up by
 * now.
 */
const SLOW_ADD_MS = 500;
/** A retry comes within one time-out, or a little more where others wait for room in the queue; Redis' clock may be stepped. */
const REMEMBERED_TIMEOUTS = 3;
/** How often a producer that waits for room in the queue asks again. */
const ROOM_POLL_MS = 50;

/** What is sent of a chunk, and the deadline for it. */
interface Shipment {
  readonly first: PendingRecord;
  readonly records: number;
  readonly executions: readonly string[];
  readonly payload: Buffer;
  readonly deadline: () => number;
}

/** One request for a sequence. Its retries share the token, so that they all get the same one. */
interface Numbering {
  readonly token: string;
  /** Milliseconds of `performance.now()`, before the first try. */
  readonly began: number;
}

interface ReservedJob extends Numbering {
  readonly jobId: string;
  readonly firstSequence: number;
  /** Of the connection, before the reservation. */
  readonly epoch: number;
}

/**
 * Brings one chunk to Redis in two steps: its sequence, payload and pending marks, then its job. The first step is done in the order of
 * the calls. Each step is retried until the deadline. A lost reply makes no second job: the token identifies retries of the first step, the
 * job id those of the second.
 */
export class ChunkSender {
  readonly #options: ChunkSenderOptions;
  readonly #replicas: Replicas;
  readonly #stopped = new AbortController();
  /** Deadlines do not run while the queue is full and we wait for room: none ends before this time. */
  #noDeadlineBefore = 0;
  #allowed = false;

  constructor(options: ChunkSenderOptions) {
    this.#options = options;
    this.#replicas = new Replicas(options.connection.client, options.keys, options.ackReplicas);
  }

  /**
   * Resolves with the sequence of the first record when Redis holds chunk and job.
   * @throws BackpressureError, QueueUnavailableError at the deadline, SequenceOutOfRangeError; ClosedError where it waited for room
   */
  async send(chunk: readonly PendingRecord[]): Promise<number> {
    const { enqueueTimeoutMs } = this.#options;
    const [first] = chunk as [PendingRecord];
    const records = chunk.map(({ record }) => record);
    const executions = executionsOf(records);
    const shipment: Shipment = {
      first,
      records: records.length,
      executions,
      payload: encodeChunk(executions, records),
      deadline: () => Math.max(first.savedAt + enqueueTimeoutMs, this.#noDeadlineBefore),
    };
    try {
      const reserved = await this.#number(shipment);
      await retryUntil(shipment.deadline, this.#adding(shipment, reserved), 'enqueueing');
      return reserved.firstSequence;
    } catch (error) {
      throw error instanceof RedisAccessError ? await this.#named(error, shipment.deadline()) : error;
    }
  }

  /** Of a command within a script, servers before Redis 7.2 do not say which one it is. */
  async #named(refusal: RedisAccessError, deadline: number): Promise<RedisAccessError> {
    this.#allowed = false;
    if (refusal.command !== undefined) return refusal;
    const asked = await this.#assertAllowed(deadline).catch((error: unknown) => error);
    return asked instanceof RedisAccessError ? asked : refusal;
  }

  /** Waiting for room has no deadline: this ends it. */
  stopWaiting(): void {
    this.#stopped.abort();
  }

  /** First step. */
  async #number(shipment: Shipment): Promise<ReservedJob> {
    let reserved: ReservedJob | undefined;
    await this.#options.clock.inOrder(async () => {
      if (reserved) await this.#giveUp(reserved, shipment);
      const numbering = { token: randomUUID(), began: performance.now() };
      const reserve = async () => {
        await this.#assertAllowed(shipment.deadline());
        return this.#reserve(shipment, numbering);
      };
      reserved = await retryUntil(shipment.deadline, reserve, 'reserving a sequence');
      return reserved.firstSequence + shipment.records - 1;
    });
    return reserved as unknown as ReservedJob;
  }

  /**
   * Before the first chunk: a right that is missing in the middle would leave a part of the job behind, which BullMQ then takes for the
   * whole. Also asks for Redis' time, so that the first chunk has a limit too.
   */
  async #assertAllowed(deadline: number): Promise<void> {
    if (this.#allowed) return;
    const { connection, keys, clock } = this.#options;
    const { client } = connection;
    const asking = checkRights(client, keys, PRODUCER_COMMANDS).then(() => redisTimeUs(client, keys));
    clock.sawRedisTime(await withDeadline(deadline, asking, 'checking the rights of its user'));
    this.#allowed = true;
  }

  async #reserve(shipment: Shipment, { token, began }: Numbering, job?: ReservedJob): Promise<ReservedJob> {
    const { connection, keys, clock, sink, target, maxQueueDepth, onQueueFull, enqueueTimeoutMs } =
      this.#options;
    const { records, payload, executions, deadline } = shipment;
    for (;;) {
      const { epoch } = connection;
      const reservation = {
        ...{ records, payload, executions, maxQueueDepth },
        destination: { sink, target },
        above: clock.last,
        retry: { token, forMs: REMEMBERED_TIMEOUTS * enqueueTimeoutMs },
        notAfterUs: clock.redisTimeAt(deadline()),
      };
      const reserving = reserve(connection.client, keys, reservation, job);
      const reserved = await withDeadline(deadline(), reserving, 'reserving a sequence');
      if (reserved.kind === 'taken') {
        throw new QueueUnavailableError('Redis lost this chunk and gave its number to another one', {
          refused: true,
        });
      }
      if (reserved.kind === 'late') {
        // Redis' clock was set forward. `withDeadline` ends this loop at our own deadline.
        clock.sawRedisTime(reserved.redisTimeUs);
        continue;
      }
      if (reserved.kind === 'reserved') {
        const { firstSequence } = reserved;
        clock.sawRedisTime(firstSequence);
        clock.observe(firstSequence + records - 1);
        return { jobId: jobIdOf(firstSequence), firstSequence, epoch, token, began };
      }
      if (onQueueFull === 'reject') {
        throw new BackpressureError('maxQueueDepth', reserved.depth, maxQueueDepth);
      }
      await this.#waitForRoom();
    }
  }

  /** The number is too low: an operation that was called earlier got a higher one. Nobody has seen it, for it has no job. */
  async #giveUp({ jobId }: ReservedJob, { executions, deadline }: Shipment): Promise<void> {
    const { connection, keys, sink, target } = this.#options;
    const marks = executions.map((executionId) => markOf(executionId, jobId, { sink, target }));
    const doing = 'giving up a number';
    const releasing = () => withDeadline(deadline(), release(connection.client, keys, [jobId], marks), doing);
    // What stays is written by a worker with its low number, and gives way to what is sent now; a record that is refused would leave two
    // dead letters.
    await retryUntil(deadline, releasing, doing).catch(() => {});
  }

  /** Second step; may be called again where it throws. */
  #adding(shipment: Shipment, reserved: ReservedJob): () => Promise<void> {
    const { connection } = this.#options;
    let current: ReservedJob | undefined = reserved;
    let again = false;
    return async () => {
      for (;;) {
        again ||= current === undefined;
        // A second try is for the same job: a Redis that restarted meanwhile may have lost what the first one made.
        const { jobId, epoch, began }: ReservedJob =
          current ?? (await this.#reserve(shipment, reserved, reserved));
        current = undefined;
        await this.#addJob(shipment, jobId);
        // Had the connection been lost in between, a Redis that restarted could hold the job without its payload.
        if (connection.epoch !== epoch) continue;
        const doubtful = again || performance.now() - began > SLOW_ADD_MS;
        if (!doubtful || !(await this.#lacksPayload(jobId, shipment.deadline()))) return;
      }
    };
  }

  async #addJob({ first, records, payload, deadline }: Shipment, jobId: string): Promise<void> {
    const { sink, target, queue, telemetry, ackReplicas } = this.#options;
    const job: ChunkJob = { sink, target, records, bytes: payload.length };
    const add = () => queue.add('chunk', job, jobOptions(jobId));
    // In the trace of the chunk's first save: what runs here may have been called by any save before.
    const adding = telemetry ? telemetry.contextManager.with(first.context, add) : add();
    await withDeadline<unknown>(deadline(), adding as Promise<unknown>, 'adding a job');
    if (ackReplicas > 0) {
      await withDeadline(deadline(), this.#replicas.confirm(deadline()), 'waiting for replicas');
    }
  }

  /**
   * Whether the job is there without its payload: a worker that was done with a first try, or with a job that another worker added
   * for us, may have removed the payload before this job was added.
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
      await delay(ROOM_POLL_MS, undefined, { signal: this.#stopped.signal });
    } catch {
      throw new ClosedError('producer');
    }
    this.#noDeadlineBefore = performance.now() + this.#options.enqueueTimeoutMs;
  }
}
