import type { Logger } from '../logger.js';
import type { Database } from '../postgres/database.js';
import { BatchWriter, type SinkRecords } from './batch-writer.js';
import type { Chunk, PlacedRecord } from './chunk-reader.js';
import type { CircuitBreaker } from './circuit-breaker.js';
import type { DeadLetterWriter, RefusalReason } from './dead-letter-writer.js';
import { commitPersistently } from './persistent-commit.js';
import { type BatchOutcome, RecordRefusedError, type Sink } from './sink.js';

export interface WriterStats extends BatchOutcome {
  /** Refused by PostgreSQL for good, and kept among the dead letters. */
  deadLettered: number;
  batches: number;
  records: number;
  bytes: number;
}

export const NOTHING_WRITTEN: Readonly<WriterStats> = Object.freeze({
  batches: 0,
  records: 0,
  bytes: 0,
  committed: 0,
  superseded: 0,
  deleted: 0,
  deadLettered: 0,
});

/** A committed batch, as the `batch` event tells it. */
export interface BatchEvent extends BatchOutcome {
  records: number;
  bytes: number;
  durationMs: number;
}

export interface BatchCommitterOptions {
  database: Database;
  sinks: readonly Sink[];
  deadLetters: DeadLetterWriter;
  breaker: CircuitBreaker;
  logger: Logger;
  /** Aborted when the writer gives up on what it holds. */
  signal: AbortSignal;
  /** Told of each transaction; must not throw. */
  onBatch: (event: BatchEvent) => void;
}

/** What is to happen around each transaction. */
export type WriteAround = (write: () => Promise<void>) => Promise<void>;

/** Brings batches of chunks to their end: what PostgreSQL takes is committed, the rest is kept as dead letters. */
export class BatchCommitter {
  readonly #options: BatchCommitterOptions;
  readonly #writer: BatchWriter;
  readonly #stats: WriterStats = { ...NOTHING_WRITTEN };

  constructor(options: BatchCommitterOptions) {
    this.#options = options;
    this.#writer = new BatchWriter(options.database);
  }

  get stats(): Readonly<WriterStats> {
    return { ...this.#stats };
  }

  /** Creates the tables that are needed from the start, or brings them up to date. @throws SchemaMismatchError, DatabaseError */
  migrate(): Promise<void> {
    return this.#migrate(this.#options.sinks.filter(({ createdOnDemand }) => !createdOnDemand));
  }

  async #migrate(sinks: Iterable<Sink>): Promise<void> {
    for (const sink of sinks) await sink.migrate(this.#options.database);
  }

  /** All chunks of a batch end alike: written, or rejected with NotCommitted when the writer gives up. */
  async commit(chunks: readonly Chunk[]): Promise<PromiseSettledResult<void>[]> {
    try {
      await this.write(chunks.flatMap((chunk) => chunk.records));
      return chunks.map(() => ({ status: 'fulfilled', value: undefined }));
    } catch (reason) {
      return chunks.map(() => ({ status: 'rejected', reason }));
    }
  }

  /** Writes records, and keeps as dead letters what is refused of them. @throws NotCommitted when the writer gives up */
  async write(records: readonly PlacedRecord[], around: WriteAround = (write) => write()): Promise<void> {
    const { breaker, logger, signal } = this.#options;
    const refused = await commitPersistently(records, {
      write: (part) => around(() => this.#write(part)),
      culprit: (error) => (error instanceof RecordRefusedError ? (error.record as PlacedRecord) : undefined),
      createSchema: () => this.#migrate(new Set(records.map(({ origin }) => origin.sink))),
      onFailure: (failure) => breaker.failed(failure),
      logger,
      signal,
    });
    await this.bury(refused);
  }

  /** Keeps records as dead letters. @throws NotCommitted when the writer gives up */
  async bury(refused: ReadonlyArray<{ item: PlacedRecord; error: RefusalReason }>): Promise<void> {
    await this.#options.deadLetters.write(
      refused.map(({ item, error }) => ({ record: item, origin: item.origin, error })),
    );
    this.#stats.deadLettered += refused.length;
  }

  async #write(records: readonly PlacedRecord[]): Promise<void> {
    const began = performance.now();
    const outcome = await this.#writer.write(bySink(records));
    this.#options.breaker.succeeded();
    const bytes = records.reduce((sum, { body }) => sum + body.length, 0);
    const written = { ...outcome, records: records.length, bytes };
    for (const [name, count] of Object.entries({ ...written, batches: 1 })) {
      this.#stats[name as keyof WriterStats] += count;
    }
    this.#options.onBatch({ ...written, durationMs: performance.now() - began });
  }
}

function bySink(records: readonly PlacedRecord[]): SinkRecords[] {
  const groups = new Map<Sink, PlacedRecord[]>();
  for (const record of records) {
    const { sink } = record.origin;
    const group = groups.get(sink);
    if (group) group.push(record);
    else groups.set(sink, [record]);
  }
  return [...groups].map(([sink, ofSink]) => ({ sink, records: ofSink }));
}
