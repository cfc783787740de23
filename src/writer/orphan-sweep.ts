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

/** What is swept: the key whose members are looked at, and the scripts that find orphans among them and remove them. */
interface Swept {
  readonly keys: string[];
  readonly find: Script;
  readonly remove: Script;
}

/**
 * KEYS: the swept key, chunks. ARGV: job prefix, payload prefix, members.
 * @param test Lua: whether the member `entry` is an orphan
 * @param remove Lua: removes it, and returns how many there were
 */
function scriptsOf(test: string, remove: string): Omit<Swept, 'keys'> {
  const functions = `
    local job_prefix, payload_prefix = ARGV[1], ARGV[2]
    local function is_orphan(entry) ${test} end
    local function remove(entry) ${remove} end`;
  return {
    find: new Script(`${functions}
      local orphans = {}
      for i = 3, #ARGV do
        if is_orphan(ARGV[i]) then orphans[#orphans + 1] = ARGV[i] end
      end
      return orphans`),
    remove: new Script(`${functions}
      local removed = 0
      for i = 3, #ARGV do
        if is_orphan(ARGV[i]) then removed = removed + remove(ARGV[i]) end
      end
      return removed`),
  };
}

/** An index entry or a mark: its job, which is what stands behind the last NUL, has neither hash nor payload. */
const ENTRIES = scriptsOf(
  `local job = string.match(entry, '[^%z]*$')
   return redis.call('EXISTS', job_prefix .. job, payload_prefix .. job) == 0`,
  `return redis.call('ZREM', KEYS[1], entry)`,
);

/**
 * The job of a dead letter that has neither payload nor index entry. It was added after the dead letter had been replayed or purged, by a
 * worker that died before it could look.
 */
const DEAD_LETTERS = scriptsOf(
  `return redis.call('EXISTS', payload_prefix .. entry) == 0 and not redis.call('ZSCORE', KEYS[2], entry)`,
  `redis.call('DEL', job_prefix .. entry, job_prefix .. entry .. ':logs')
   return redis.call('ZREM', KEYS[1], entry)`,
);

/**
 * Removes what nothing refers to any more: index entries and pending marks that have neither job nor payload, and dead-letter jobs that
 * have neither payload nor index entry. They delay nothing, but would stay in Redis for good. A payload is never removed here; see
 * `LostJobs`.
 */
export class OrphanSweep {
  readonly #swept: readonly Swept[];
  /** By key and member, when they were first seen so; milliseconds of `performance.now()`. */
  #suspects = new Map<string, number>();

  constructor(
    private readonly client: Redis | Cluster,
    private readonly keys: QueueKeys,
  ) {
    const { chunks, marks, deadLetterJobs } = keys;
    this.#swept = [
      { keys: [chunks, chunks], ...ENTRIES },
      { keys: [marks, chunks], ...ENTRIES },
      ...(deadLetterJobs ? [{ keys: [deadLetterJobs, chunks], ...DEAD_LETTERS }] : []),
    ];
  }

  /** One look. @returns how many entries, marks and jobs were removed */
  async sweep(ageMs = ORPHAN_AGE_MS): Promise<number> {
    const suspects = this.#suspects;
    this.#suspects = new Map();
    const isOldEnough = (key: string) => (entry: string) => {
      const suspect = `${key} ${entry}`;
      const since = suspects.get(suspect);
      if (since !== undefined && performance.now() - since >= ageMs) return true;
      if (this.#suspects.size < MAX_SUSPECTS) this.#suspects.set(suspect, since ?? performance.now());
      return false;
    };
    let removed = 0;
    for (const swept of this.#swept) {
      removed += await this.#sweep(swept, isOldEnough(swept.keys[0] as string));
    }
    return removed;
  }

  async #sweep({ keys, find, remove }: Swept, isOldEnough: (entry: string) => boolean): Promise<number> {
    const ask = (script: Script, entries: readonly string[]) =>
      script.run(this.client, keys, [this.keys.jobPrefix, this.keys.payloadPrefix, ...entries]);
    let removed = 0;
    for (let cursor = '0'; ; ) {
      const [next, members] = await this.client.zscan(keys[0] as string, cursor, 'COUNT', PAGE);
      const entries = members.filter((_, index) => index % 2 === 0);
      const orphans = ((await ask(find, entries)) as string[]).filter(isOldEnough);
      if (orphans.length > 0) removed += (await ask(remove, orphans)) as number;
      if (next === '0') return removed;
      cursor = next;
    }
  }
}
