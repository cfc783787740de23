import type { Logger } from '../logger.js';
import type { Database } from '../postgres/database.js';
import { BatchWriter, type SinkRecords } from './batch-writer.js';
import type { Chunk, PlacedRecord } from './chunk-reader.js';
import type { CircuitBreaker, Failure } from './circuit-breaker.js';
import type { ClockOffset } from './clock-offset.js';
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

/** How long the records of one chunk took from their save to their commit. */
export interface CommitLag {
  readonly records: number;
  /** By Redis' clock, which numbered them; milliseconds. */
  readonly lagMs: number;
}

/** A committed batch, as the `batch` event tells it. */
export interface BatchEvent extends BatchOutcome {
  records: number;
  bytes: number;
  durationMs: number;
  /** By chunk. Replayed dead letters, whose save may be months ago, are left out. */
  lags: readonly CommitLag[];
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
  /** Told of each transaction that failed and is tried again; must not throw. */
  onRetry: (failure: Failure) => void;
  /** Redis' clock, in microseconds. */
  nowUs: () => number;
  clocks: Pick<ClockOffset, 'get'>;
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
    this.#writer = new BatchWriter(options.database, options.clocks);
  }

  get stats(): Readonly<WriterStats> {
    return { ...this.#stats };
  }

  /**
   * Creates the tables that are needed from the start, or brings them up to date.
   * @throws InvalidConfigError where the database is not in UTF-8; SchemaMismatchError, DatabaseError
   */
  async migrate(): Promise<void> {
    // Connects even where no table is needed yet, so that a database that cannot be used is refused at the start.
    await this.#options.database.withClient(async () => {});
    await this.#migrate(this.#options.sinks.filter(({ createdOnDemand }) => !createdOnDemand));
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
    const { breaker, logger, signal, onRetry } = this.#options;
    const refused = await commitPersistently(records, {
      write: (part) => around(() => this.#write(part)),
      culprit: (error) => (error instanceof RecordRefusedError ? (error.record as PlacedRecord) : undefined),
      createSchema: () => this.#migrate(new Set(records.map(({ origin }) => origin.sink))),
      onFailure: (failure) => {
        breaker.failed(failure);
        onRetry(failure);
      },
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
    const lags = lagsOf(records, this.#options.nowUs());
    this.#options.onBatch({ ...written, durationMs: performance.now() - began, lags });
  }
}

/** A chunk has one place in time: its records are numbered in one call. Those of a batch stand one behind the other. */
function lagsOf(records: readonly PlacedRecord[], nowUs: number): CommitLag[] {
  const lags: { records: number; lagMs: number }[] = [];
  let origin: PlacedRecord['origin'] | undefined;
  for (const record of records) {
    if (record.origin.replays > 0) continue;
    // A sequence is the time in µs, or a little more where it had to be above an earlier one.
    if (record.origin !== origin)
      lags.push({ records: 0, lagMs: Math.max(0, nowUs - record.sequence) / 1000 });
    origin = record.origin;
    (lags.at(-1) as { records: number }).records++;
  }
  return lags;
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
