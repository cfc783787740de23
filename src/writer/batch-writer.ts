import type { Database } from '../postgres/database.js';
import type { BatchOutcome, Sink, WriteRecord } from './sink.js';

/** Records on their way to one sink. */
export interface SinkRecords {
  readonly sink: Sink;
  readonly records: readonly WriteRecord[];
}

/**
 * A batch takes well under a second; the server's own limits (`openBatch`) are below this one, which is for a server, or a network,
 * that answers nothing.
 */
const BATCH_TIMEOUT_MS = 35_000;

/**
 * Writes records in one transaction: COPY into staging, merge, a last look at what was deleted. Applying a record again changes nothing, so whoever
 * is not sure whether a batch was committed may write it once more. It does not retry.
 */
export class BatchWriter {
  constructor(private readonly database: Database) {}

  /** @param groups one for each sink. @throws DatabaseError; nothing was stored then, unless the connection broke during COMMIT. */
  async write(groups: readonly SinkRecords[]): Promise<BatchOutcome> {
    // Folded and encoded before a connection is taken.
    const staged = groups.map(({ sink, records }) => sink.stage(records));
    const setup = groups.map(({ sink }) => sink.openBatch).join(';');
    return this.database.withTransaction(
      async (client) => {
        const sum: BatchOutcome = { committed: 0, superseded: 0, deleted: 0 };
        for (const records of staged) {
          const outcome = await records.apply(client);
          sum.committed += outcome.committed;
          sum.superseded += outcome.superseded;
          sum.deleted += outcome.deleted;
        }
        for (const records of staged) {
          const removed = await records.lastLook(client);
          sum.committed -= removed;
          sum.deleted += removed;
        }
        return sum;
      },
      { setup, timeoutMs: BATCH_TIMEOUT_MS },
    );
  }
}
