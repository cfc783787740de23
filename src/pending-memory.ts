import { BackpressureError } from './errors.js';
import { estimateJsonBytes } from './json-size.js';

/** From here on a value is measured before it is serialised. Below, there is room for most, and the measuring would cost 1 to 20 µs a save. */
const MEASURED_FROM = 0.5;

/**
 * The memory of values that are serialised and wait to be handed over. Whoever serialises one takes its bytes in the same turn of
 * the event loop, and releases them when it is handed over or given up: so the limit acts within a burst, not after it.
 *
 * One value alone may be larger than the limit: it could never be saved otherwise.
 */
export class PendingMemory {
  #bytes = 0;

  constructor(private readonly maximum: number) {}

  /** Before values are serialised. @throws BackpressureError where there is surely, or very likely, no room for them */
  assertRoomFor(...values: unknown[]): void {
    if (this.#bytes < this.maximum * MEASURED_FROM) return;
    this.#assertRoom(values.reduce<number>((bytes, value) => bytes + estimateJsonBytes(value), 0));
  }

  /** @throws BackpressureError, and nothing is taken */
  take(bytes: number): void {
    this.#assertRoom(bytes);
    this.#bytes += bytes;
  }

  /** When it is known what an estimate came to: it is serialised already, so this is not refused. */
  replace(estimate: number, bytes: number): void {
    this.#bytes += bytes - estimate;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
  }

  #assertRoom(bytes: number): void {
    const sum = this.#bytes + bytes;
    if (this.#bytes > 0 && sum > this.maximum) {
      throw new BackpressureError('maxPendingBytes', sum, this.maximum);
    }
  }
}

/** The memory of a string: where not all of it is ASCII, V8 may keep two bytes for each unit. */
export function stringBytes(text: string, utf8Bytes = Buffer.byteLength(text)): number {
  return utf8Bytes === text.length ? utf8Bytes : Math.max(utf8Bytes, 2 * text.length);
}
