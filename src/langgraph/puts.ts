import { estimateJsonBytes } from '../json-size.js';
import type { PendingMemory } from '../pending-memory.js';
import type { GraphRecord } from './graph-record.js';
import type { GraphWrites } from './graph-writes.js';

/** The calls of `put` and `putWrites` that are under way, and the memory of what they serialise. */
export class Puts {
  readonly #encoding = new Set<Promise<unknown>>();
  readonly #writing = new Set<Promise<unknown>>();

  constructor(
    private readonly memory: PendingMemory,
    private readonly writes: GraphWrites,
  ) {}

  /**
   * Serialises, and writes the record. How many bytes that gives is known only when the serialiser's promises are resolved, so the
   * memory of a call is an estimate until then: whatever is put in one turn of the event loop is counted in it.
   * @param values what `encode` serialises
   * @throws BackpressureError at `maxPendingBytes`, before anything is serialised; what `encode` and `GraphWrites.write` throw
   */
  async write(values: readonly unknown[], encode: () => Promise<GraphRecord>): Promise<void> {
    const estimate = values.reduce<number>((bytes, value) => bytes + estimateJsonBytes(value), 0);
    this.memory.take(estimate);
    // Not awaited here: the function would keep the values until they are written.
    return this.#write(tracked(this.#encoding, encode()), estimate);
  }

  /** Resolves when what was called before is on its way: a delete that is called later comes after it. */
  async encoded(): Promise<void> {
    await Promise.allSettled(this.#encoding);
  }

  /** Resolves when Redis or PostgreSQL holds what was called before, or it failed. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#writing);
  }

  async #write(encoding: Promise<GraphRecord>, estimate: number): Promise<void> {
    let heldBytes = estimate;
    const writing = encoding.then((record) => {
      this.memory.replace(estimate, record.byteLength);
      heldBytes = record.byteLength;
      return this.writes.write(record);
    });
    try {
      await tracked(this.#writing, writing);
    } finally {
      this.memory.release(heldBytes);
    }
  }
}

/** The promise, which is in the set until it is settled. */
function tracked<T>(under: Set<Promise<unknown>>, promise: Promise<T>): Promise<T> {
  under.add(promise);
  const forget = () => void under.delete(promise);
  promise.then(forget, forget);
  return promise;
}
