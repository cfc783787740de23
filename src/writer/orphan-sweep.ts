import type { Cluster, Redis } from 'ioredis';
import { jobIdOfMark, type QueueKeys } from '../redis/queue-keys.js';
import { Script } from '../redis/script.js';
import { release } from '../redis/sequence.js';

/**
 * A chunk, or a mark, that is seen without a job so long is nobody's: its producer died, or gave up, between reserving it and
 * adding its job, and never acknowledged it; or a worker died before it had cleaned up. Twice the longest enqueue timeout.
 */
const ORPHAN_AGE_MS = 10 * 60_000;
const PAGE = 1000;
/** Orphans that are remembered from one look to the next; the rest is found later. */
const MAX_SUSPECTS = 100_000;

/** KEYS: chunks. ARGV: age in µs, first, most. Sequences are Redis' own clock, so that age needs no other. */
const OLD_CHUNKS = new Script(`
  local time = redis.call('TIME')
  local until_sequence = tonumber(time[1]) * 1000000 + tonumber(time[2]) - tonumber(ARGV[1])
  return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', until_sequence), 'LIMIT', ARGV[2], ARGV[3])`);

/**
 * Removes from Redis the chunks and pending marks that no job stands behind. They delay nobody, but would stay for ever. The
 * sequence alone does not tell their age, for a replayed record has its old one: what has no job is looked at again.
 */
export class OrphanSweep {
  /** Chunks and marks without a job, and when they were first seen so; milliseconds of `performance.now()`. */
  #suspects = new Map<string, number>();

  constructor(
    private readonly client: Redis | Cluster,
    private readonly keys: QueueKeys,
  ) {}

  /** One look. @returns how many chunks and marks were removed */
  async sweep(ageMs = ORPHAN_AGE_MS): Promise<number> {
    const suspects = this.#suspects;
    this.#suspects = new Map();
    const isOrphan = (entry: string) => {
      const since = suspects.get(entry);
      if (since !== undefined && performance.now() - since >= ageMs) return true;
      if (this.#suspects.size < MAX_SUSPECTS) this.#suspects.set(entry, since ?? performance.now());
      return false;
    };
    return (await this.#sweepChunks(ageMs, isOrphan)) + (await this.#sweepMarks(isOrphan));
  }

  async #sweepChunks(ageMs: number, isOrphan: (entry: string) => boolean): Promise<number> {
    let removed = 0;
    // Failed jobs are kept, so there may be many old chunks that stay: the offset passes over them.
    for (let kept = 0; ; ) {
      const page = [ageMs * 1000, kept, PAGE];
      const old = (await OLD_CHUNKS.run(this.client, [this.keys.chunks], page)) as string[];
      const orphans = (await this.#withoutJob(old, (jobId) => jobId)).filter(isOrphan);
      await release(this.client, this.keys, orphans, []);
      kept += old.length - orphans.length;
      removed += orphans.length;
      if (old.length < PAGE) return removed;
    }
  }

  async #sweepMarks(isOrphan: (entry: string) => boolean): Promise<number> {
    let removed = 0;
    for (let cursor = '0'; ; ) {
      const [next, entries] = await this.client.zscan(this.keys.marks, cursor, 'COUNT', PAGE);
      const marks = entries.filter((_, index) => index % 2 === 0);
      const orphans = (await this.#withoutJob(marks, jobIdOfMark)).filter(isOrphan);
      await release(this.client, this.keys, [], orphans);
      removed += orphans.length;
      if (next === '0') return removed;
      cursor = next;
    }
  }

  async #withoutJob(entries: readonly string[], jobIdOf: (entry: string) => string): Promise<string[]> {
    const pipeline = this.client.pipeline();
    for (const entry of entries) pipeline.exists(this.keys.jobPrefix + jobIdOf(entry));
    const replies = (await pipeline.exec()) ?? [];
    return entries.filter((_, index) => replies[index]?.[0] === null && replies[index]?.[1] === 0);
  }
}
