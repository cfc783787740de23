/** What a batch is made of: one chunk, with its size. */
export interface Batchable {
  readonly records: readonly unknown[];
  readonly bytes: number;
}

export interface BatcherOptions<Item extends Batchable, Outcome> {
  /** A batch is closed at this many records, or bytes. */
  maxRecords: number;
  maxBytes: number;
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
 * Gathers chunks into batches. While `maxConcurrent` batches are being committed the next one fills, so batches grow with
 * the load; an idle writer commits a lone chunk after `lingerMs`. It bounds nothing itself: what it holds is what the
 * BullMQ worker has fetched, at most its concurrency.
 */
export class Batcher<Item extends Batchable, Outcome> {
  #waiting: Waiting<Item, Outcome>[] = [];
  #committing = new Set<Promise<void>>();
  #linger: NodeJS.Timeout | undefined;
  #lingered = false;
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
      const count = this.#batchLength();
      const full = count < this.#waiting.length || this.#isFull(count);
      if (!full && !this.#lingered && !this.#draining) {
        this.#linger ??= setTimeout(() => {
          this.#lingered = true;
          this.#linger = undefined;
          this.#dispatch();
        }, this.options.lingerMs);
        return;
      }
      this.#begin(this.#waiting.splice(0, count));
    }
  }

  #begin(batch: Waiting<Item, Outcome>[]): void {
    clearTimeout(this.#linger);
    this.#linger = undefined;
    this.#lingered = false;
    const committing = this.#commit(batch).finally(() => {
      this.#committing.delete(committing);
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

  /** How many of the waiting items fit into one batch; at least one. */
  #batchLength(): number {
    let records = 0;
    let bytes = 0;
    let count = 0;
    for (const { item } of this.#waiting) {
      records += item.records.length;
      bytes += item.bytes;
      if (count > 0 && (records > this.options.maxRecords || bytes > this.options.maxBytes)) break;
      count++;
    }
    return count;
  }

  #isFull(count: number): boolean {
    let records = 0;
    let bytes = 0;
    for (const { item } of this.#waiting.slice(0, count)) {
      records += item.records.length;
      bytes += item.bytes;
    }
    return records >= this.options.maxRecords || bytes >= this.options.maxBytes;
  }
}
