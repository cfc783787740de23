/** What a batch is made of: one chunk, with its size. */
export interface Batchable {
  readonly records: readonly unknown[];
  readonly bytes: number;
}

export interface BatcherOptions<Item extends Batchable, Outcome> {
  /** A batch is closed at this many records, or bytes. */
  maxRecords: number;
  maxBytes: number;
  /** Items that will ever be here at once: what waits cannot grow when the rest of them is being committed. */
  maxItems: number;
  /** How long a batch that is not full waits for more, in milliseconds, when a transaction could begin. */
  lingerMs: number;
  /** Batches that are committed at once, while the next one fills. */
  maxConcurrent: number;
  /** Settles every item; must not throw. The outcomes are in the order of the items. */
  commit: (items: readonly Item[]) => Promise<PromiseSettledResult<Outcome>[]>;
}

interface Waiting<Item, Outcome> {
  readonly item: Item;
  resolve(outcome: Outcome): void;
  reject(reason: unknown): void;
}

/**
 * How long a batch that is not full waits beside one that is being committed. A transaction beside another pays only with
 * a full batch; but one that is held, by a lock or a failure, must not hold up the rest.
 */
const BESIDE_LINGER_MS = 1000;

/**
 * Gathers chunks into batches. An idle writer commits a lone chunk after `lingerMs`. While a batch is being committed the
 * next one fills, and it begins beside the first, up to `maxConcurrent`, when it is full or has waited for a second: so
 * batches grow with the load, and a load that one transaction at a time can carry does not crowd out producers and Redis.
 * It bounds nothing itself: what it holds is what the BullMQ worker has fetched, at most its concurrency.
 */
export class Batcher<Item extends Batchable, Outcome> {
  #waiting: Waiting<Item, Outcome>[] = [];
  #committing = new Set<Promise<void>>();
  #linger: NodeJS.Timeout | undefined;
  #lingered = false;
  #inCommit = 0;
  #draining = false;

  constructor(private readonly options: BatcherOptions<Item, Outcome>) {}

  /** Resolves with the outcome of the item when its batch is committed. */
  add(item: Item): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      this.#dispatch();
    });
  }

  /** From now on nothing lingers. Resolves when all that was added is settled. */
  async drain(): Promise<void> {
    this.#draining = true;
    this.#dispatch();
    while (this.#committing.size > 0) await Promise.race(this.#committing);
  }

  #dispatch(): void {
    while (this.#waiting.length > 0 && this.#committing.size < this.options.maxConcurrent) {
      const { count, full } = this.#nextBatch();
      if (!full && !this.#draining && !this.#lingered) {
        this.#startLinger(this.#committing.size === 0 ? this.options.lingerMs : BESIDE_LINGER_MS);
        return;
      }
      this.#begin(this.#waiting.splice(0, count));
    }
  }

  #startLinger(ms: number): void {
    this.#linger ??= setTimeout(() => {
      this.#lingered = true;
      this.#linger = undefined;
      this.#dispatch();
    }, ms);
  }

  #begin(batch: Waiting<Item, Outcome>[]): void {
    clearTimeout(this.#linger);
    this.#linger = undefined;
    this.#lingered = false;
    this.#inCommit += batch.length;
    const committing = this.#commit(batch).finally(() => {
      this.#committing.delete(committing);
      this.#inCommit -= batch.length;
      // What gathered during a commit has waited long enough.
      this.#lingered ||= this.#waiting.length > 0 && this.#committing.size === 0;
      this.#dispatch();
    });
    this.#committing.add(committing);
  }

  async #commit(batch: Waiting<Item, Outcome>[]): Promise<void> {
    const outcomes = await this.options.commit(batch.map(({ item }) => item));
    for (const [index, { resolve, reject }] of batch.entries()) {
      const outcome = outcomes[index];
      if (outcome?.status === 'fulfilled') resolve(outcome.value);
      else reject(outcome?.reason);
    }
  }

  /** How many of the waiting items fit into one batch, at least one; full if it would not grow by waiting. */
  #nextBatch(): { count: number; full: boolean } {
    const { maxRecords, maxBytes, maxItems } = this.options;
    let records = 0;
    let bytes = 0;
    for (const [count, { item }] of this.#waiting.entries()) {
      records += item.records.length;
      bytes += item.bytes;
      if (count > 0 && (records > maxRecords || bytes > maxBytes)) return { count, full: true };
    }
    const count = this.#waiting.length;
    return { count, full: records >= maxRecords || bytes >= maxBytes || count + this.#inCommit >= maxItems };
  }
}
