import type { EncodableRecord } from '../chunk.js';
import { errorCopy } from '../error-copy.js';
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

/** The records that wait for the next chunk, first come first served. */
export class Gathering {
  #waiting: PendingRecord[] = [];

  constructor(private readonly limits: Pick<ProducerLimits, 'maxChunkRecords' | 'maxChunkBytes'>) {}

  get records(): number {
    return this.#waiting.length;
  }

  add(record: EncodableRecord, context?: unknown): Promise<Enqueued> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ record, savedAt: performance.now(), context, resolve, reject });
    });
  }

  /** At least one record; as many as fit into a chunk. */
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

  rejectAll(error: unknown): void {
    const rejected = this.#waiting;
    this.#waiting = [];
    for (const { reject } of rejected) reject(errorCopy(error));
  }
}
