import { Queue } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import { type ChunkHeader, type ChunkJob, decodeChunk, decodeHeader, parseJobId } from '../chunk.js';
import type { Logger } from '../logger.js';
import { throttledErrorLog } from '../redis/connection.js';
import { countRequeued } from '../redis/counters.js';
import { jobOptions } from '../redis/job-options.js';
import { destinationsOf } from '../redis/lost-jobs.js';
import { type Destination, destinationOf, type QueueKeys } from '../redis/queue-keys.js';
import type { Sink } from './sink.js';

/** The header of most chunks is in these first bytes of the payload. */
const HEADER_BYTES = 8192;

interface LostChunk {
  readonly jobId: string;
  readonly bytes: number;
  /** Undefined where the payload cannot be read. */
  readonly header: ChunkHeader | undefined;
}

/** Adds the jobs of chunks anew, under their ids, so that two who do it make one job. */
export class LostChunks {
  #queue: Queue<ChunkJob> | undefined;

  constructor(
    private readonly client: Redis | Cluster,
    private readonly keys: QueueKeys,
    private readonly sinks: readonly Sink[],
    private readonly logger: Logger,
  ) {}

  /** @returns those of which nobody can tell what they are for */
  async bringBack(jobIds: readonly string[]): Promise<string[]> {
    const chunks = await this.#read(jobIds.filter(isOurs));
    const marked = chunks.map(({ jobId, header }) => ({ jobId, executionId: header?.executions[0] }));
    const destinations = await destinationsOf(this.client, this.keys, marked);
    const jobs: Array<{ jobId: string; data: ChunkJob }> = [];
    for (const { jobId, bytes, header } of chunks) {
      const destination = destinations.get(jobId) ?? (await this.#guess(jobId, header));
      if (destination) jobs.push({ jobId, data: { ...destination, records: header?.records ?? 0, bytes } });
    }
    await this.#add(jobs);
    const added = new Set(jobs.map(({ jobId }) => jobId));
    const left = jobIds.filter((jobId) => !added.has(jobId));
    if (left.length > 0) {
      this.logger.error(
        { jobs: left.length, jobId: left[0] },
        'chunks have lost their jobs, and no worker can tell which table they are for; they are kept',
      );
    }
    return left;
  }

  async close(): Promise<void> {
    await this.#queue?.close();
  }

  async #read(jobIds: readonly string[]): Promise<LostChunk[]> {
    const pipeline = this.client.pipeline();
    for (const jobId of jobIds) {
      const key = this.keys.payloadPrefix + jobId;
      pipeline.getrangeBuffer(key, 0, HEADER_BYTES - 1);
      pipeline.strlen(key);
    }
    const replies = ((await pipeline.exec()) ?? []).map(([error, value]) => {
      if (error) throw error;
      return value;
    });
    return Promise.all(
      jobIds.map(async (jobId, index) => {
        const bytes = replies[2 * index + 1] as number;
        const header =
          headerOf(replies[2 * index] as Buffer) ??
          (bytes > HEADER_BYTES ? headerOf(await this.#payload(jobId)) : undefined);
        return { jobId, bytes, header };
      }),
    );
  }

  /**
   * The marks of an earlier release do not say what a chunk is for: the one sink of this worker that can read it. One that nobody can
   * read goes to any of them, which puts it among the failed jobs and says why.
   */
  async #guess(jobId: string, header: ChunkHeader | undefined): Promise<Destination | undefined> {
    const candidates = header ? readersOf(await this.#payload(jobId), this.sinks) : this.sinks.slice(0, 1);
    const [sink, ...others] = candidates;
    return sink && others.length === 0 ? destinationOf(sink) : undefined;
  }

  async #payload(jobId: string): Promise<Buffer> {
    return (await this.client.getBuffer(this.keys.payloadPrefix + jobId)) ?? Buffer.alloc(0);
  }

  async #add(jobs: ReadonlyArray<{ jobId: string; data: ChunkJob }>): Promise<void> {
    if (jobs.length === 0) return;
    const queue = this.#opened();
    await queue.addBulk(jobs.map(({ jobId, data }) => ({ name: 'chunk', data, opts: jobOptions(jobId) })));
    // Whoever cleaned up in between did not see the job: without a payload it would end among the failed ones.
    const pipeline = this.client.pipeline();
    for (const { jobId } of jobs) pipeline.exists(this.keys.payloadPrefix + jobId);
    const exist = (await pipeline.exec()) ?? [];
    const done = jobs.filter((_, index) => exist[index]?.[0] === null && exist[index]?.[1] === 0);
    await Promise.all(done.map(({ jobId }) => queue.remove(jobId)));
    const requeued = jobs.length - done.length;
    if (requeued === 0) return;
    await countRequeued(this.client, this.keys, requeued);
    this.logger.warn(
      { jobs: requeued },
      'jobs were missing whose records may not be committed; they are in the queue again',
    );
  }

  /** Opened when it is first needed: hardly ever. */
  #opened(): Queue<ChunkJob> {
    if (!this.#queue) {
      const { queue, prefix } = this.keys;
      this.#queue = new Queue<ChunkJob>(queue, { prefix, connection: this.client, skipVersionCheck: true });
      this.#queue.on('error', throttledErrorLog(this.logger, 'queue error'));
    }
    return this.#queue;
  }
}

/** The sinks that can read all records of the payload. */
export function readersOf(payload: Buffer, sinks: readonly Sink[]): Sink[] {
  return sinks.filter((sink) => {
    try {
      for (const body of decodeChunk(payload).bodies) sink.check(body);
      return true;
    } catch {
      return false;
    }
  });
}

function headerOf(start: Buffer): ChunkHeader | undefined {
  try {
    return decodeHeader(start);
  } catch {
    return undefined;
  }
}

function isOurs(jobId: string): boolean {
  try {
    parseJobId(jobId);
    return true;
  } catch {
    return false;
  }
}
