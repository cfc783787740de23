import type { Database } from '../postgres/database.js';
import { tellClockOffset } from '../postgres/tombstones.js';
import type { ClockOffset } from './clock-offset.js';
import type { BatchOutcome, Sink, StagedRecords, WriteRecord } from './sink.js';

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
  /** @param clocks for deletes without Redis; undefined where no sink has them */
  constructor(
    private readonly database: Database,
    private readonly clocks?: Pick<ClockOffset, 'get'>,
  ) {}

  /** @param groups one for each sink. @throws DatabaseError; nothing was stored then, unless the connection broke during COMMIT. */
  async write(groups: readonly SinkRecords[]): Promise<BatchOutcome> {
    // Folded and encoded before a connection is taken.
    const staged = groups.map(({ sink, records }) => sink.stage(records));
    const setup = await this.#opening(groups.map(({ sink }) => sink));
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

  /**
   * Writes a stored record anew, as if it never had been, and takes that back.
   * @returns whether PostgreSQL takes such records now; false where nobody can tell
   * @throws DatabaseError where it refuses
   */
  async rehearse(sink: Sink, record: WriteRecord): Promise<boolean> {
    const staged = sink.stage([record]);
    if (!staged.applyAnew) return false;
    const setup = await this.#opening([sink]);
    const { committed } = await this.database.withTransaction(
      async (client) => {
        const outcome = await (staged.applyAnew as StagedRecords['apply'])(client);
        // What is checked at COMMIT otherwise.
        await client.query('SET CONSTRAINTS ALL IMMEDIATE');
        return outcome;
      },
      { setup, timeoutMs: BATCH_TIMEOUT_MS, rehearsal: true },
    );
    return committed > 0;
  }

  /** What goes out with the BEGIN. */
  async #opening(sinks: readonly Sink[]): Promise<string> {
    const offset = this.clocks && [tellClockOffset((await this.clocks.get()).offsetUs)];
    return [...sinks.map(({ openBatch }) => openBatch), ...(offset ?? [])].join(';');
  }
}
