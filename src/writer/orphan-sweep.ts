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
const CHUNKS_A_SWEEP = 1000;

/** KEYS: chunks. ARGV: age in µs, most. Sequences are Redis' own clock, so that age needs no other. */
const OLD_CHUNKS = new Script(`
  local time = redis.call('TIME')
  local until_sequence = tonumber(time[1]) * 1000000 + tonumber(time[2]) - tonumber(ARGV[1])
  return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', until_sequence), 'LIMIT', 0, ARGV[2])`);

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
    const old = (await OLD_CHUNKS.run(
      this.client,
      [this.keys.chunks],
      [ageMs * 1000, CHUNKS_A_SWEEP],
    )) as string[];
    let removed = 0;
    for (const jobId of old) {
      if ((await this.client.exists(this.keys.jobPrefix + jobId)) === 1) continue;
      await release(this.client, this.keys, [jobId], await this.#marks(jobId));
      removed++;
    }
    return removed;
  }

  async #marks(jobId: string): Promise<string[]> {
    const payload = await this.client.getBuffer(this.keys.payloadPrefix + jobId);
    return payload ? decodeChunk(payload).executions.map((executionId) => markOf(executionId, jobId)) : [];
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
