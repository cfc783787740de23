import { Queue } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import { deadLetterIdOf, type EncodableRecord, encodeChunk } from '../chunk.js';
import type { DeadLetterJob, DeadLetterRecord } from './dead-letter-job.js';
import { removeDeadLetters, settleDeadLetter } from './dead-letter-scripts.js';
import { jobOptions } from './job-options.js';
import {
  type Destination,
  deadLetterKeys,
  marksOf,
  mayBeFor,
  parseMark,
  type QueueKeys,
} from './queue-keys.js';
import { reserve } from './sequence.js';

export type { DeadLetterJob, DeadLetterRecord };

/**
 * Any: BullMQ keeps jobs with a priority in a sorted set. Out of its list of the others, one of 100,000 takes 2 ms of Redis' time
 * to remove.
 */
const PRIORITY = 1;
/** Ids a look at Redis. */
const PAGE = 1000;

/**
 * The dead letters of a queue in Redis: a BullMQ queue of its own whose jobs nobody takes, one for each record. As beside a
 * chunk, the payload is a key of its own, there before the job and gone after it; an index by sequence and the marks of the
 * executions find them.
 */
export class DeadLetterQueue {
  readonly #keys: QueueKeys;
  readonly #ofQueue: QueueKeys;
  #queue: Queue<DeadLetterJob> | undefined;

  constructor(
    private readonly client: Redis | Cluster,
    keys: QueueKeys,
    private readonly onError: (error: unknown) => void,
  ) {
    this.#keys = deadLetterKeys(keys);
    this.#ofQueue = keys;
  }

  get keys(): QueueKeys {
    return this.#keys;
  }

  /**
   * Keeps a record. Keeping it again, after a crash or a lost reply, makes no second one.
   * @returns its dead-letter id; undefined if the record has been replayed since, and so is kept elsewhere
   */
  async add(job: DeadLetterJob, record: EncodableRecord): Promise<string | undefined> {
    const { sequence, replays, executionId, sink, target } = job;
    const destination = { sink, target };
    const deadLetterId = deadLetterIdOf(sequence, replays);
    const payload = encodeChunk([executionId], [record]);
    for (;;) {
      await reserve(
        this.client,
        this.#keys,
        { records: 1, payload, executions: [executionId], destination, maxQueueDepth: 0 },
        { jobId: deadLetterId, firstSequence: sequence },
      );
      const known = await this.queue.getJob(deadLetterId);
      if (known) await known.updateData({ ...job, firstFailedAt: known.data.firstFailedAt });
      else await this.#add(deadLetterId, job);
      const settled = await settleDeadLetter(this.client, this.#ofQueue, job);
      if (settled !== 'incomplete') return settled === 'kept' ? deadLetterId : undefined;
      // A Redis that restarted in between, or a removal, has left one without the other.
    }
  }

  /** Adds the job of a dead letter that has a payload and no job. @returns whether there is such a dead letter now */
  async addJob(job: DeadLetterJob): Promise<boolean> {
    const deadLetterId = deadLetterIdOf(job.sequence, job.replays);
    await this.#add(deadLetterId, job);
    const settled = await settleDeadLetter(this.client, this.#ofQueue, job);
    // It was replayed or purged in between, by somebody who did not see this job.
    if (settled !== 'kept') await this.remove([{ deadLetterId, job }]);
    return settled === 'kept';
  }

  async #add(deadLetterId: string, job: DeadLetterJob): Promise<void> {
    await this.queue.add('dead-letter', job, { ...jobOptions(deadLetterId), priority: PRIORITY });
  }

  /** Keeps what was kept before. One that is there, or has been replayed, stays as it is. @returns whether it was not there */
  async restore(job: DeadLetterJob, record: EncodableRecord): Promise<boolean> {
    if (await this.has(deadLetterIdOf(job.sequence, job.replays))) return false;
    return (await this.add(job, record)) !== undefined;
  }

  /** Whether it is there with its payload. */
  async has(deadLetterId: string): Promise<boolean> {
    const { jobPrefix, payloadPrefix } = this.#keys;
    return (await this.client.exists(jobPrefix + deadLetterId, payloadPrefix + deadLetterId)) === 2;
  }

  /** Removes dead letters that are given up. What is not there is no error. @returns how many were there */
  remove(letters: readonly DeadLetterRecord[]): Promise<number> {
    return removeDeadLetters(
      this.client,
      this.#keys,
      letters.map(({ job }) => job),
    );
  }

  async close(): Promise<void> {
    await this.#queue?.close();
  }

  /** Made when it is first needed: most queues never have a dead letter. */
  get queue(): Queue<DeadLetterJob> {
    if (!this.#queue) {
      const { queue, prefix } = this.#keys;
      this.#queue = new Queue<DeadLetterJob>(queue, {
        prefix,
        connection: this.client,
        skipVersionCheck: true,
      });
      this.#queue.on('error', this.onError);
    }
    return this.#queue;
  }
}

/** A span of sequences, both ends included. */
export interface SequenceRange {
  readonly first: number;
  readonly last: number;
}

/** The dead letters of records with these sequences, without a BullMQ queue: for those who only ask now and then. */
export async function deadLettersBySequence(
  client: Redis | Cluster,
  keys: QueueKeys,
  ranges: readonly SequenceRange[],
): Promise<DeadLetterRecord[]> {
  return readDeadLetters(client, keys, await deadLetterIdsBySequence(client, keys, ranges));
}

/** The ids of the dead letters of records with these sequences. */
export async function deadLetterIdsBySequence(
  client: Redis | Cluster,
  keys: QueueKeys,
  ranges: readonly SequenceRange[],
): Promise<string[]> {
  const { chunks } = deadLetterKeys(keys);
  const ids: string[] = [];
  for (let from = 0; from < ranges.length; from += PAGE) {
    const pipeline = client.pipeline();
    for (const { first, last } of ranges.slice(from, from + PAGE)) {
      pipeline.zrangebyscore(chunks, first, last);
    }
    for (const found of await replies(pipeline)) ids.push(...(found as string[]));
  }
  return ids;
}

/** The oldest record that may still arrive, from the queue or by a replay; undefined if there is none. */
export async function oldestSequenceOf(
  client: Redis | Cluster,
  keys: QueueKeys,
): Promise<number | undefined> {
  // In one transaction: between two looks, a dead letter may become a job again, or a job a dead letter.
  const look = client.multi();
  for (const chunks of [keys.chunks, deadLetterKeys(keys).chunks])
    look.zrange(chunks, '0', '0', 'WITHSCORES');
  const sequences = ((await replies(look)) as string[][]).flatMap(([, sequence]) =>
    sequence === undefined ? [] : [Number(sequence)],
  );
  return sequences.length === 0 ? undefined : Math.min(...sequences);
}

/**
 * The ids of an execution's dead letters, in no order.
 * @param destination only of records that may be for this one. Default: all
 */
export async function deadLetterIdsOfExecution(
  client: Redis | Cluster,
  keys: QueueKeys,
  executionId: string,
  destination?: Destination,
): Promise<string[]> {
  const marks = await client.zrangebylex(deadLetterKeys(keys).marks, ...marksOf(executionId));
  return marks
    .map(parseMark)
    .filter((mark) => !destination || mayBeFor(mark, destination))
    .map(({ jobId }) => jobId);
}

/** Those of the ids that have a job; an index or mark without one is a removal, or an addition, under way. */
export async function readDeadLetters(
  client: Redis | Cluster,
  keys: QueueKeys,
  ids: readonly string[],
): Promise<DeadLetterRecord[]> {
  const { jobPrefix } = deadLetterKeys(keys);
  const found: DeadLetterRecord[] = [];
  for (let from = 0; from < ids.length; from += PAGE) {
    const some = ids.slice(from, from + PAGE);
    const pipeline = client.pipeline();
    for (const id of some) pipeline.hget(jobPrefix + id, 'data');
    for (const [index, data] of (await replies(pipeline)).entries()) {
      const job = data === null ? undefined : (JSON.parse(data as string) as DeadLetterJob);
      if (job) found.push({ deadLetterId: some[index] as string, job });
    }
  }
  return found;
}

async function replies(pipeline: ReturnType<Redis['pipeline']>): Promise<unknown[]> {
  return ((await pipeline.exec()) ?? []).map(([error, value]) => {
    if (error) throw error;
    return value;
  });
}
