import type { Cluster, Redis } from 'ioredis';
import type { QueueKeys } from '../redis/queue-keys.js';
import { Script } from '../redis/script.js';

/**
 * An index entry, or a mark, that is seen so long without a job and without a payload leads to nothing: Redis has lost both, or somebody
 * has removed them. Twice the longest enqueue timeout.
 */
const ORPHAN_AGE_MS = 10 * 60_000;
const PAGE = 1000;
/** Orphans that are remembered from one look to the next; the rest is found later. */
const MAX_SUSPECTS = 100_000;

const LEADS_TO_NOTHING = `
  local function leads_to_nothing(job) return redis.call('EXISTS', ARGV[1] .. job, ARGV[2] .. job) == 0 end`;

/** ARGV: job prefix, payload prefix, entries. Returns those whose job, what is behind the last NUL, has neither hash nor payload. */
const ORPHANS = new Script(`${LEADS_TO_NOTHING}
  local reply = {}
  for i = 3, #ARGV do
    if leads_to_nothing(string.match(ARGV[i], '[^%z]*$')) then reply[#reply + 1] = ARGV[i] end
  end
  return reply`);

/** KEYS: chunks or marks. ARGV as above. Removes them, if they are so still. Returns how many. */
const FORGET = new Script(`${LEADS_TO_NOTHING}
  local removed = 0
  for i = 3, #ARGV do
    if leads_to_nothing(string.match(ARGV[i], '[^%z]*$')) then removed = removed + redis.call('ZREM', KEYS[1], ARGV[i]) end
  end
  return removed`);

/**
 * Removes from Redis the index entries and pending marks that nothing stands behind any more, neither a job nor a payload. They delay
 * nobody, but would stay for ever. What has a payload is never removed here: see `LostJobs`.
 */
export class OrphanSweep {
  /** Entries and marks, and when they were first seen so; milliseconds of `performance.now()`. */
  #suspects = new Map<string, number>();

  constructor(
    private readonly client: Redis | Cluster,
    private readonly keys: QueueKeys,
  ) {}

  /** One look. @returns how many entries and marks were removed */
  async sweep(ageMs = ORPHAN_AGE_MS): Promise<number> {
    const suspects = this.#suspects;
    this.#suspects = new Map();
    const isOrphan = (entry: string) => {
      const since = suspects.get(entry);
      if (since !== undefined && performance.now() - since >= ageMs) return true;
      if (this.#suspects.size < MAX_SUSPECTS) this.#suspects.set(entry, since ?? performance.now());
      return false;
    };
    return (await this.#sweep(this.keys.chunks, isOrphan)) + (await this.#sweep(this.keys.marks, isOrphan));
  }

  async #sweep(key: string, isOrphan: (entry: string) => boolean): Promise<number> {
    let removed = 0;
    for (let cursor = '0'; ; ) {
      const [next, members] = await this.client.zscan(key, cursor, 'COUNT', PAGE);
      const entries = members.filter((_, index) => index % 2 === 0);
      const orphans = ((await this.#ask(ORPHANS, key, entries)) as string[]).filter(isOrphan);
      if (orphans.length > 0) removed += (await this.#ask(FORGET, key, orphans)) as number;
      if (next === '0') return removed;
      cursor = next;
    }
  }

  #ask(script: Script, key: string, entries: readonly string[]): Promise<unknown> {
    return script.run(this.client, [key], [this.keys.jobPrefix, this.keys.payloadPrefix, ...entries]);
  }
}
