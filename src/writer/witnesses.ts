import type { BatchWriter, SinkRecords } from './batch-writer.js';
import type { Sink, WriteRecord } from './sink.js';

/** Records that are kept of each sink, one of a batch: the newest may be deleted since, or refused by a rule that is newer still. */
const KEPT = 3;

/**
 * Records that this writer has committed last. They tell whether PostgreSQL takes records of a sink now: one that it refuses meanwhile
 * is to blame only if it takes others.
 */
export class Witnesses {
  readonly #ofSink = new Map<Sink, WriteRecord[]>();

  constructor(private readonly writer: BatchWriter) {}

  /** All of these are committed, or gave way to others. */
  committed(groups: readonly SinkRecords[]): void {
    for (const { sink, records } of groups) {
      const last = records.at(-1);
      if (!last) continue;
      const kept = this.#ofSink.get(sink) ?? [];
      this.#ofSink.set(sink, [last, ...kept].slice(0, KEPT));
    }
  }

  /** Whether PostgreSQL takes records of this sink now; false where nobody can tell. */
  async takes(sink: Sink): Promise<boolean> {
    for (const record of this.#ofSink.get(sink) ?? []) {
      const taken = await this.writer.rehearse(sink, record).catch(() => false);
      if (taken) return true;
    }
    return false;
  }
}
