import { randomUUID } from 'node:crypto';
import { Job, Queue } from 'bullmq';
import { type ChunkJob, decodeChunk, jobIdOf } from '../chunk.js';
import { CheckpointQueueError } from '../errors.js';
import { type DamagedRows, StoredSequences } from '../postgres/damaged-sequences.js';
import type { Database } from '../postgres/database.js';
import type { GraphTableNames } from '../postgres/graph-tables.js';
import type { TableNames } from '../postgres/identifiers.js';
import type { RedisConnection } from '../redis/connection.js';
import { damagedQueue, mendLastSequence } from '../redis/damaged-sequences.js';
import { DeadLetterQueue, readDeadLetters } from '../redis/dead-letter-queue.js';
import { jobOptions } from '../redis/job-options.js';
import { deadLetterKeys, markOf, type QueueKeys } from '../redis/queue-keys.js';
import { askWithin } from '../redis/retry.js';
import { nextSequence, release, reserve } from '../redis/sequence.js';

/** What has, or had, a sequence that is no whole number or more than a day ahead of Redis' clock. */
export interface DamagedSequences extends DamagedRows {
  /** Whether the last sequence in Redis is damaged: nothing can be numbered then. */
  lastSequence: boolean;
  jobs: number;
  deadLetters: number;
}

export interface SequenceRepairOptions {
  connection: RedisConnection;
  keys: QueueKeys;
  database: Database;
  names: TableNames;
  graph: GraphTableNames;
}

/** For one question to Redis, or one record that is numbered anew. */
const TIMEOUT_MS = 10_000;

/**
 * Finds sequences that cannot be right, and numbers what has them anew, at Redis' time: as if it had just been saved or deleted.
 * Safe to break off and to repeat: a record is queued under its new number before the old one goes, and applying it twice changes nothing.
 */
export class SequenceRepair {
  readonly #options: SequenceRepairOptions;
  readonly #stored: StoredSequences;
  readonly #deadLetters: DeadLetterQueue;
  readonly #queue: Queue<ChunkJob>;

  constructor(options: SequenceRepairOptions) {
    const { connection, keys, database, names, graph } = options;
    this.#options = options;
    this.#stored = new StoredSequences(database, names, graph);
    this.#deadLetters = new DeadLetterQueue(connection.client, keys, () => {}); // told by what it is asked
    this.#queue = new Queue(keys.queue, {
      prefix: keys.prefix,
      connection: connection.client,
      skipVersionCheck: true,
    });
    this.#queue.on('error', () => {}); // told by what it is asked
  }

  /**
   * Changes nothing.
   * @param maxRows reads no table where all together have more; `tablesRead` is false then. Default: reads them all
   * @throws QueueUnavailableError, DatabaseError
   */
  async find(maxRows = Number.POSITIVE_INFINITY): Promise<DamagedSequences & { tablesRead: boolean }> {
    const { lastSequence, jobIds, deadLetterIds, highest } = await this.#damagedQueue();
    const tablesRead = maxRows === Number.POSITIVE_INFINITY || (await this.#stored.size()) <= maxRows;
    const stored = tablesRead ? await this.#stored.count(highest) : { rows: 0, tombstones: 0 };
    return { tablesRead, lastSequence, jobs: jobIds.length, deadLetters: deadLetterIds.length, ...stored };
  }

  /** @returns what was mended. @throws QueueUnavailableError, DatabaseError; what was mended until then stays so */
  async mend(): Promise<DamagedSequences> {
    const { connection, keys } = this.#options;
    const { client } = connection;
    const lastSequence = await this.#ask(() => mendLastSequence(client, keys));
    const { jobIds, deadLetterIds, highest } = await this.#damagedQueue();
    // Rows first: a record that is queued anew must not give way to one of them for its number alone.
    const stored = await this.#stored.mend(highest, await this.#ask(() => nextSequence(client, keys)));
    let jobs = 0;
    for (const jobId of jobIds) if (await this.#requeue(jobId)) jobs++;
    let deadLetters = 0;
    for (const id of deadLetterIds) if (await this.#renumber(id)) deadLetters++;
    return { lastSequence, jobs, deadLetters, ...stored };
  }

  async close(): Promise<void> {
    await Promise.all([this.#queue.close(), this.#deadLetters.close()]);
  }

  #damagedQueue() {
    const { connection, keys } = this.#options;
    return this.#ask(() => damagedQueue(connection.client, keys));
  }

  #ask<T>(ask: () => Promise<T>): Promise<T> {
    return askWithin(TIMEOUT_MS, ask, 'mending sequences');
  }

  /** @returns false for what a worker has in hand, or has no payload any more: the next repair sees what became of it */
  async #requeue(jobId: string): Promise<boolean> {
    const { connection, keys } = this.#options;
    const { client } = connection;
    const payload = await this.#ask(() => client.getBuffer(keys.payloadPrefix + jobId));
    const job = await this.#ask(() => Job.fromId<ChunkJob>(this.#queue, jobId));
    if (!payload || !job) return false;
    const { executions, bodies } = decodeChunk(payload);
    const destination = { sink: job.data.sink, target: job.data.target };
    const retry = { token: randomUUID(), forMs: TIMEOUT_MS };
    const reservation = { records: bodies.length, payload, executions, destination, maxQueueDepth: 0, retry };
    const reserved = await this.#ask(() => reserve(client, keys, reservation));
    if (reserved.kind !== 'reserved') return false;
    await this.#ask(() => this.#queue.add('chunk', job.data, jobOptions(jobIdOf(reserved.firstSequence))));
    if (!(await this.#removed(job))) return false;
    const marks = executions.map((executionId) => markOf(executionId, jobId, destination));
    await this.#ask(() => release(client, keys, [jobId], marks));
    return true;
  }

  /** @returns false for a job that a worker is processing. It is then written under both sequences, which is harmless. */
  #removed(job: Job<ChunkJob>): Promise<boolean> {
    return this.#ask(async () => {
      if (await job.isActive()) return false;
      await job.remove();
      return true;
    });
  }

  async #renumber(deadLetterId: string): Promise<boolean> {
    const { connection, keys } = this.#options;
    const { client } = connection;
    const [letter] = await this.#ask(() => readDeadLetters(client, keys, [deadLetterId]));
    const key = deadLetterKeys(keys).payloadPrefix + deadLetterId;
    const payload = await this.#ask(() => client.getBuffer(key));
    const [body] = payload ? decodeChunk(payload).bodies : [];
    if (!letter || !body) return false;
    const { executionId } = letter.job;
    const sequence = await this.#ask(() => nextSequence(client, keys));
    const record = {
      executionId,
      byteLength: body.length,
      writeTo: (buffer: Buffer, offset: number) => void body.copy(buffer, offset),
    };
    const kept = await this.#ask(() =>
      this.#deadLetters.add({ ...letter.job, sequence, replays: 0 }, record),
    );
    if (kept === undefined)
      throw new CheckpointQueueError('UNEXPECTED', 'a new dead letter counts as replayed');
    await this.#ask(() => this.#deadLetters.remove([letter]));
    return true;
  }
}

/** Whether anything is damaged. */
export function anyDamaged({ lastSequence, jobs, deadLetters, rows, tombstones }: DamagedSequences): boolean {
  return lastSequence || jobs + deadLetters + rows + tombstones > 0;
}

/** `the last sequence in Redis, 3 jobs, 1 row`. */
export function damagedText(damaged: DamagedSequences): string {
  const counted = (count: number, one: string, many = `${one}s`) =>
    count === 0 ? [] : [`${count} ${count === 1 ? one : many}`];
  return [
    ...(damaged.lastSequence ? ['the last sequence in Redis'] : []),
    ...counted(damaged.jobs, 'job'),
    ...counted(damaged.deadLetters, 'dead letter'),
    ...counted(damaged.rows, 'row'),
    ...counted(damaged.tombstones, 'tombstone'),
  ].join(', ');
}
