import { type Job, Queue } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import { type ChunkJob, deadLetterIdOf, type EncodableRecord, encodeChunk } from '../chunk.js';
import { jobOptions } from './job-options.js';
import { deadLetterKeys, markOf, marksOf, type QueueKeys } from './queue-keys.js';
import { release, reserve } from './sequence.js';

/** What a dead letter's job says of its record: everything but the record itself, which stands in the payload beside it. */
export interface DeadLetterJob extends ChunkJob {
  /** Of the checkpoint. */
  id: string;
  executionId: string;
  /** The record's place in the order of all operations; it keeps it when it is replayed. */
  sequence: number;
  /** How often it has been replayed before. */
  replays: number;
  /** PostgreSQL's code; null where it gave none. */
  sqlState: string | null;
  /** Why PostgreSQL refuses it; holds no value of the record. */
  reason: string;
  /** Milliseconds since 1970. */
  firstFailedAt: number;
  lastFailedAt: number;
  /** The job that the record came in, and the writer that met it. */
  jobId: string;
  worker: string;
}

/** A record that was refused, as it is kept. */
export interface DeadLetterRecord {
  readonly deadLetterId: string;
  readonly job: DeadLetterJob;
}

/** Ids a look at Redis. */
const PAGE = 1000;

/**
 * The dead letters of a queue in Redis: a BullMQ queue of its own whose jobs nobody takes, one for each record. As beside a
 * chunk, the payload is a key of its own, there before the job and gone after it; an index by sequence and the marks of the
 * executions find them.
 */
export class DeadLetterQueue {
  readonly #keys: QueueKeys;
  #queue: Queue<DeadLetterJob> | undefined;

  constructor(
    private readonly client: Redis | Cluster,
    keys: QueueKeys,
    private readonly onError: (error: unknown) => void,
  ) {
    this.#keys = deadLetterKeys(keys);
  }

  get keys(): QueueKeys {
    return this.#keys;
  }

  /** Keeps a record. Keeping it again, after a crash or a lost reply, makes no second one. @returns its dead-letter id */
  async add(job: DeadLetterJob, record: EncodableRecord): Promise<string> {
    const { sequence, replays, executionId } = job;
    const deadLetterId = deadLetterIdOf(sequence, replays);
    const payload = encodeChunk([executionId], [record]);
    await reserve(
      this.client,
      this.#keys,
      { records: 1, payload, executions: [executionId], maxQueueDepth: 0 },
      { jobId: deadLetterId, firstSequence: sequence },
    );
    const known = await this.queue.getJob(deadLetterId);
    if (known) await known.updateData({ ...job, firstFailedAt: known.data.firstFailedAt });
    else await this.queue.add('dead-letter', job, jobOptions(deadLetterId));
    return deadLetterId;
  }

  /** Removes dead letters that are replayed or given up. What is not there is no error. @returns how many were there */
  async remove(letters: readonly DeadLetterRecord[]): Promise<number> {
    let removed = 0;
    for (const { deadLetterId } of letters) removed += await this.queue.remove(deadLetterId);
    const marks = letters.map(({ deadLetterId, job }) => markOf(job.executionId, deadLetterId));
    await release(
      this.client,
      this.#keys,
      letters.map(({ deadLetterId }) => deadLetterId),
      marks,
    );
    return removed;
  }

  async get(deadLetterId: string): Promise<DeadLetterRecord | undefined> {
    const job: Job<DeadLetterJob> | undefined = await this.queue.getJob(deadLetterId);
    return job && { deadLetterId, job: job.data };
  }

  /** The chunk of its one record. */
  payload(deadLetterId: string): Promise<Buffer | null> {
    return this.client.getBuffer(this.#keys.payloadPrefix + deadLetterId);
  }

  async close(): Promise<void> {
    await this.#queue?.close();
  }

  /** Made when it is first needed: most queues never have a dead letter. */
  get queue(): Queue<DeadLetterJob> {
    if (!this.#queue) {
      const { queue, prefix } = this.#keys;
      this.#queue = new Queue<DeadLetterJob>(queue, { prefix, connection: this.client });
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
  const { chunks } = deadLetterKeys(keys);
  const ids: string[] = [];
  for (let from = 0; from < ranges.length; from += PAGE) {
    const pipeline = client.pipeline();
    for (const { first, last } of ranges.slice(from, from + PAGE)) {
      pipeline.zrangebyscore(chunks, first, last);
    }
    for (const found of await replies(pipeline)) ids.push(...(found as string[]));
  }
  return readDeadLetters(client, keys, ids);
}

/** The oldest record that may still arrive, from the queue or by a replay; undefined if there is none. */
export async function oldestSequenceOf(
  client: Redis | Cluster,
  keys: QueueKeys,
): Promise<number | undefined> {
  const oldest = [keys.chunks, deadLetterKeys(keys).chunks].map((chunks) =>
    client.zrange(chunks, '0', '0', 'WITHSCORES'),
  );
  const sequences = (await Promise.all(oldest)).flatMap(([, sequence]) =>
    sequence === undefined ? [] : [Number(sequence)],
  );
  return sequences.length === 0 ? undefined : Math.min(...sequences);
}

/** The dead letters of an execution. */
export async function deadLettersOfExecution(
  client: Redis | Cluster,
  keys: QueueKeys,
  executionId: string,
): Promise<DeadLetterRecord[]> {
  const marks = await client.zrangebylex(deadLetterKeys(keys).marks, ...marksOf(executionId));
  return readDeadLetters(
    client,
    keys,
    marks.map((mark) => mark.slice(executionId.length + 1)),
  );
}

/** Those of the ids that have a job; an index or mark without one is a removal, or an addition, under way. */
async function readDeadLetters(
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
