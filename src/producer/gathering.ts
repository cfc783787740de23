import type { EncodableRecord } from '../chunk.js';
import { BackpressureError } from '../errors.js';
import type { Enqueued, ProducerLimits } from './limits.js';

/** A record that is not acknowledged yet. */
export interface PendingRecord {
  readonly record: EncodableRecord;
  /** Milliseconds of `performance.now()`. */
  readonly savedAt: number;
  /** Of the trace that the save belongs to, where there are traces. */
  readonly context: unknown;
  resolve(enqueued: Enqueued): void;
  reject(error: unknown): void;
}

/** The records that wait for the next chunk, first come first served, and the memory that all pending ones take. */
export class Gathering {
  #waiting: PendingRecord[] = [];
  #pendingBytes = 0;

  constructor(
    private readonly limits: Pick<ProducerLimits, 'maxChunkRecords' | 'maxChunkBytes' | 'maxPendingBytes'>,
  ) {}

  get records(): number {
    return this.#waiting.length;
  }

  /** @throws BackpressureError if the record does not fit into the memory that is allowed. */
  add(record: EncodableRecord, context?: unknown): Promise<Enqueued> {
    const { maxPendingBytes } = this.limits;
    const bytes = this.#pendingBytes + record.byteLength;
    if (bytes > maxPendingBytes) throw new BackpressureError('maxPendingBytes', bytes, maxPendingBytes);
    this.#pendingBytes = bytes;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ record, savedAt: performance.now(), context, resolve, reject });
    });
  }

  /** At least one record; as many as fit into a chunk. The caller calls `settled` with them in the end. */
  takeChunk(): PendingRecord[] {
    const { maxChunkRecords, maxChunkBytes } = this.limits;
    let bytes = 0;
    let count = 0;
    for (const { record } of this.#waiting) {
      bytes += record.byteLength;
      if (count > 0 && (count === maxChunkRecords || bytes > maxChunkBytes)) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  /** Counts bytes that are pending elsewhere. One record alone may be larger than the limit. @throws BackpressureError */
  hold(bytes: number): void {
    const { maxPendingBytes } = this.limits;
    const sum = this.#pendingBytes + bytes;
    if (this.#pendingBytes > 0 && sum > maxPendingBytes) {
      throw new BackpressureError('maxPendingBytes', sum, maxPendingBytes);
    }
    this.#pendingBytes = sum;
  }

  letGo(bytes: number): void {
    this.#pendingBytes -= bytes;
  }

  settled(chunk: readonly PendingRecord[]): void {
    for (const { record } of chunk) this.#pendingBytes -= record.byteLength;
  }

  rejectAll(error: unknown): void {
    const rejected = this.#waiting;
    this.#waiting = [];
    for (const { reject } of rejected) reject(error);
    this.settled(rejected);
  }
}
