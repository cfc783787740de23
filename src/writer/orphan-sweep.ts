import type { Cluster, Redis } from 'ioredis';
import { decodeChunk } from '../chunk.js';
import { markOf, type QueueKeys } from '../redis/queue-keys.js';
import { Script } from '../redis/script.js';
import { release } from '../redis/sequence.js';

/**
 * A chunk this old without a job is nobody's: its producer died, or gave up, between reserving it and adding its job, and
 * never acknowledged it; or a worker died before it had cleaned up. Twice the longest enqueue timeout that is allowed.
 */
const ORPHAN_AGE_MS = 10 * 60_000;
const INTERVAL_MS = 60_000;
const CHUNKS_A_PAGE = 1000;

/** KEYS: chunks. ARGV: age in µs, first, most. Sequences are Redis' own clock, so that age needs no other. */
const OLD_CHUNKS = new Script(`
  local time = redis.call('TIME')
  local until_sequence = tonumber(time[1]) * 1000000 + tonumber(time[2]) - tonumber(ARGV[1])
  return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', until_sequence), 'LIMIT', ARGV[2], ARGV[3])`);

/** Removes from Redis, now and then, the chunks and pending marks that no job stands behind. */
export class OrphanSweep {
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(
    private readonly client: Redis | Cluster,
    private readonly keys: QueueKeys,
    private readonly onError: (error: unknown) => void,
  ) {}

  start(): void {
    this.#timer = setInterval(() => {
      this.#running ??= this.#run();
    }, INTERVAL_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  /** One sweep. @returns how many chunks were removed */
  async sweep(ageMs = ORPHAN_AGE_MS): Promise<number> {
    let removed = 0;
    // Failed jobs are kept, so there may be many old chunks that stay: the offset passes over them.
    for (let kept = 0; ; ) {
      const page = [ageMs * 1000, kept, CHUNKS_A_PAGE];
      const old = (await OLD_CHUNKS.run(this.client, [this.keys.chunks], page)) as string[];
      for (const jobId of old) {
        if ((await this.client.exists(this.keys.jobPrefix + jobId)) === 1) kept++;
        else {
          await release(this.client, this.keys, [jobId], await this.#marks(jobId));
          removed++;
        }
      }
      if (old.length < CHUNKS_A_PAGE) return removed;
    }
  }

  async #marks(jobId: string): Promise<string[]> {
    const payload = await this.client.getBuffer(this.keys.payloadPrefix + jobId);
    if (!payload) return [];
    try {
      return decodeChunk(payload).executions.map((executionId) => markOf(executionId, jobId));
    } catch {
      return []; // not written by us
    }
  }

  async #run(): Promise<void> {
    try {
      await this.sweep();
    } catch (error) {
      this.onError(error);
    } finally {
      this.#running = undefined;
    }
  }
}
