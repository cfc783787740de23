import { setTimeout as delay } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { type ChunkJob, decodeChunk } from '../../src/chunk.js';
import { jobOptions } from '../../src/redis/job-options.js';
import type { QueueKeys } from '../../src/redis/queue-keys.js';

const POLL_MS = 2;
const TIMEOUT_MS = 20_000;

/** Keeps what writers fetch of their jobs, and delivers jobs again that are done. */
export class Redelivery {
  readonly #payloads = new Map<string, Buffer>();
  readonly #client: Redis;
  readonly #queue: Queue<ChunkJob>;
  readonly #watched: Redis;

  constructor(
    url: string,
    private readonly keys: QueueKeys,
    private readonly target: string,
  ) {
    this.#client = new Redis(url);
    this.#queue = new Queue(keys.queue, { prefix: keys.prefix, connection: this.#client });
    // Never used itself: a writer makes a duplicate of what it is given.
    this.#watched = new Redis(url, { lazyConnect: true });
    Object.assign(this.#watched, {
      duplicate: (options: object) => this.#recording(new Redis(url, options)),
    });
  }

  /** For the option `redis` of a writer. */
  get redis(): Redis {
    return this.#watched;
  }

  forget(): void {
    this.#payloads.clear();
  }

  /** The jobs so far with saves of an execution whose name begins so. */
  jobsOf(prefix: string): string[] {
    const isOurs = (payload: Buffer) =>
      decodeChunk(payload).executions.some((execution) => execution.startsWith(prefix));
    return [...this.#payloads].filter(([, payload]) => isOurs(payload)).map(([jobId]) => jobId);
  }

  /** Delivers the job again if it is done and cleaned up. @returns whether it was */
  async again(jobId: string): Promise<boolean> {
    const payload = this.#payloads.get(jobId);
    if (!payload || (await this.#isThere(jobId))) return false;
    await this.#client.set(this.keys.payloadPrefix + jobId, payload);
    // It is found by this, should an operator remove it again.
    await this.#client.zadd(this.keys.chunks, jobId.slice(jobId.indexOf('-') + 1), jobId);
    const records = decodeChunk(payload).bodies.length;
    const job = { sink: 'checkpoints', target: this.target, records, bytes: payload.length };
    await this.#queue.add('chunk', job, jobOptions(jobId));
    return true;
  }

  /** Resolves when the job is done and cleaned up. */
  async gone(jobId: string): Promise<void> {
    for (const deadline = Date.now() + TIMEOUT_MS; await this.#isThere(jobId); await delay(POLL_MS)) {
      if (Date.now() > deadline) throw new Error(`job ${jobId} is not done`);
    }
  }

  /** Removes what is left of the queue. */
  async close(): Promise<void> {
    const left = await this.#client.keys(`${this.keys.jobPrefix}*`);
    if (left.length > 0) await this.#client.unlink(left);
    await this.#queue.close();
    this.#client.disconnect();
    this.#watched.disconnect();
  }

  async #isThere(jobId: string): Promise<boolean> {
    return (await this.#client.exists(this.keys.jobPrefix + jobId, this.keys.payloadPrefix + jobId)) > 0;
  }

  #recording(client: Redis): Redis {
    const getBuffer = client.getBuffer.bind(client) as (key: string) => Promise<Buffer | null>;
    const { payloadPrefix } = this.keys;
    return Object.assign(client, {
      getBuffer: async (key: string) => {
        const payload = await getBuffer(key);
        if (payload && key.startsWith(payloadPrefix))
          this.#payloads.set(key.slice(payloadPrefix.length), payload);
        return payload;
      },
    });
  }
}
