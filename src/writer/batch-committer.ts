import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../logger.js';
import type { Database } from '../postgres/database.js';
import { classifyFailure } from '../postgres/sqlstate.js';
import { BatchWriter, type SinkRecords } from './batch-writer.js';
import type { Chunk, PlacedRecord } from './chunk-reader.js';
import type { CircuitBreaker, Failure } from './circuit-breaker.js';
import type { ClockOffset } from './clock-offset.js';
import type { DeadLetterWriter, RefusalReason } from './dead-letter-writer.js';
import { NotCommitted } from './held-write.js';
import { commitPersistently, type Refusal, SetAside } from './persistent-commit.js';
import { type BatchOutcome, RecordRefusedError, type Sink } from './sink.js';
import { Witnesses } from './witnesses.js';

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

/** Until the next batch begins after one that is set aside whole; in milliseconds. */
const FRUITLESS_PAUSE_MS = { first: 250, max: 5000 };

/** One line of each code at most in this time: what is set aside comes back again and again. */
const LOG_INTERVAL_MS = 10_000;
/** Triggers may invent codes without end. */
const MAX_CODES = 100;

const FULFILLED: PromiseFulfilledResult<void> = { status: 'fulfilled', value: undefined };
const rejected = (reason: unknown): PromiseRejectedResult => ({ status: 'rejected', reason });

/** What is to happen around each transaction. */
export type WriteAround = (write: () => Promise<void>) => Promise<void>;

/** Brings batches of chunks to their end: what PostgreSQL takes is committed, the rest is kept as dead letters. */
export class BatchCommitter {
  readonly #options: BatchCommitterOptions;
  readonly #writer: BatchWriter;
  readonly #witnesses: Witnesses;
  readonly #stats: WriterStats = { ...NOTHING_WRITTEN };
  readonly #quietUntil = new Map<string | undefined, number>();
  /** Batches in a row of which nothing was committed. */
  #fruitless = 0;

  constructor(options: BatchCommitterOptions) {
    this.#options = options;
    this.#writer = new BatchWriter(options.database, options.clocks);
    this.#witnesses = new Witnesses(this.#writer);
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

  /**
   * The chunks of a batch end alike, written, or rejected with NotCommitted when the writer gives up; but for those with a record that
   * is set aside, which are rejected with SetAside.
   */
  async commit(chunks: readonly Chunk[]): Promise<PromiseSettledResult<void>[]> {
    try {
      const before = this.#stats.batches;
      const setAside = new Set(await this.#writeOrSetAside(chunks.flatMap((chunk) => chunk.records)));
      // The next batch may fare as this one did.
      if (setAside.size > 0 && this.#stats.batches === before) await this.#pause();
      return chunks.map(({ records }) =>
        records.some((record) => setAside.has(record)) ? rejected(new SetAside()) : FULFILLED,
      );
    } catch (reason) {
      return chunks.map(() => rejected(reason));
    }
  }

  /**
   * Writes records, and keeps as dead letters what is refused of them.
   * @throws SetAside where some are refused and nothing shows that they are to blame, the others being written; NotCommitted when the
   *   writer gives up
   */
  async write(records: readonly PlacedRecord[], around?: WriteAround): Promise<void> {
    const setAside = await this.#writeOrSetAside(records, around);
    if (setAside.length > 0) throw new SetAside();
  }

  async #writeOrSetAside(
    records: readonly PlacedRecord[],
    around: WriteAround = (write) => write(),
  ): Promise<PlacedRecord[]> {
    const { breaker, logger, signal, onRetry } = this.#options;
    const { refused, setAside } = await commitPersistently(records, {
      write: (part) => around(() => this.#write(part)),
      writeNothing: () => this.#writeNothing(records),
      culprit: (error) => (error instanceof RecordRefusedError ? (error.record as PlacedRecord) : undefined),
      takesAnother: ({ origin }) => this.#witnesses.takes(origin.sink),
      createSchema: () => this.#migrate(sinksOf(records)),
      onFailure: (failure) => {
        breaker.failed(failure);
        onRetry(failure);
      },
      logger,
      signal,
    });
    await this.bury(refused);
    this.#tellOfSetAside(setAside);
    return setAside.map(({ item }) => item);
  }

  /** Keeps records as dead letters. @throws NotCommitted when the writer gives up */
  async bury(refused: ReadonlyArray<{ item: PlacedRecord; error: RefusalReason }>): Promise<void> {
    await this.#options.deadLetters.write(
      refused.map(({ item, error }) => ({ record: item, origin: item.origin, error })),
    );
    this.#stats.deadLettered += refused.length;
  }

  async #writeNothing(records: readonly PlacedRecord[]): Promise<void> {
    await this.#writer.write([...sinksOf(records)].map((sink) => ({ sink, records: [] })));
    this.#options.breaker.succeeded();
  }

  #tellOfSetAside(setAside: readonly Refusal<PlacedRecord>[]): void {
    const { logger, onRetry } = this.#options;
    const byCode = new Map(setAside.map(({ error }) => [error.sqlState, error]));
    for (const [sqlState, error] of byCode) {
      const failure = classifyFailure(error);
      onRetry({ failure, sqlState });
      if (performance.now() < (this.#quietUntil.get(sqlState) ?? 0)) continue;
      if (this.#quietUntil.size >= MAX_CODES) this.#quietUntil.clear();
      this.#quietUntil.set(sqlState, performance.now() + LOG_INTERVAL_MS);
      const records = setAside.filter((one) => one.error.sqlState === sqlState).length;
      logger.error(
        { failure, sqlState, records, reason: error.message },
        'PostgreSQL refuses these records, and took no other that shows they are to blame; set aside and tried again later',
      );
    }
  }

  /** Grows as long as nothing is committed at all. */
  async #pause(): Promise<void> {
    const { signal } = this.#options;
    const ms = Math.min(
      FRUITLESS_PAUSE_MS.max,
      FRUITLESS_PAUSE_MS.first * 2 ** Math.min(this.#fruitless++, 20),
    );
    await delay(ms, undefined, { signal }).catch(() => {});
    if (signal.aborted) throw new NotCommitted();
  }

  async #write(records: readonly PlacedRecord[]): Promise<void> {
    const began = performance.now();
    const groups = bySink(records);
    const outcome = await this.#writer.write(groups);
    this.#fruitless = 0;
    this.#witnesses.committed(groups);
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

function sinksOf(records: readonly PlacedRecord[]): Set<Sink> {
  return new Set(records.map(({ origin }) => origin.sink));
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
