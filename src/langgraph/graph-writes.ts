import { BackpressureError, QueueUnavailableError } from '../errors.js';
import { Gathered } from '../gathered.js';
import type { Database } from '../postgres/database.js';
import type { GraphTableSql } from '../postgres/graph-tables.js';
import { Removal } from '../postgres/removal.js';
import type { WriteQueue } from '../store/write-queue.js';
import { BatchWriter } from '../writer/batch-writer.js';
import type { GraphRecord } from './graph-record.js';
import type { GraphSink } from './graph-sink.js';

export interface GraphWritesOptions {
  queue: WriteQueue;
  database: Database;
  sink: GraphSink;
  sql: GraphTableSql;
  maxQueuedBytes: number;
  /** Runs the work; where the tables are missing, creates them and runs it again. */
  creatingTables: <T>(work: () => Promise<T>) => Promise<T>;
}

/** Deletes that are under way while later ones gather. */
const MAX_REMOVAL_ROUNDS = 4;

/** Brings records to Redis, or where that does not take them to PostgreSQL, and removes threads. */
export class GraphWrites {
  readonly #options: GraphWritesOptions;
  readonly #writer: BatchWriter;
  readonly #removals: Gathered<{ scope: string; key: string; fence: number }, number>;
  /** What Redis did not number is numbered in the order of the calls, one round trip for all that wait for it. */
  readonly #numbers = new Gathered((threadIds: string[]) => this.#sequencesNow(threadIds));

  constructor(options: GraphWritesOptions) {
    const { database, sql, queue, creatingTables } = options;
    this.#options = options;
    this.#writer = new BatchWriter(database);
    const removal = new Removal(database, sql);
    const raise = (above: number) => queue.producer.raiseSequence(above);
    this.#removals = new Gathered(
      (requests) => creatingTables(() => removal.remove(requests, raise)),
      MAX_REMOVAL_ROUNDS,
    );
  }

  /**
   * Resolves when Redis holds the record, or PostgreSQL does: one that is too large for Redis, and one that Redis did not take
   * within its deadline. The caller has taken its memory.
   * @throws QueueUnavailableError, or BackpressureError at `maxQueueDepth`, with PostgreSQL's refusal as its cause; DatabaseError for
   *   what is too large
   */
  async write(record: GraphRecord): Promise<void> {
    const { queue, maxQueuedBytes } = this.#options;
    try {
      if (record.byteLength > maxQueuedBytes) await this.#directly(record);
      else await queue.enqueue(record);
    } catch (error) {
      if (!(error instanceof QueueUnavailableError || error instanceof BackpressureError)) throw error;
      // A full queue can number it; a Redis that is away cannot.
      const write = error instanceof BackpressureError ? this.#directly(record) : this.#writeThrough(record);
      await write.catch((cause) => {
        error.cause = cause;
        throw error;
      });
    }
  }

  /** @throws QueueUnavailableError without Redis: what waits in the queue could come back then; DatabaseError */
  async remove(threadId: string): Promise<void> {
    const { producer } = this.#options.queue;
    const drawn = await producer.nextSequenceInOrder();
    const fence = await this.#removals.ask({ scope: 'thread', key: threadId, fence: drawn });
    if (fence > drawn) await producer.raiseSequence(fence);
  }

  async #directly(record: GraphRecord): Promise<void> {
    await this.#commit(record, await this.#options.queue.producer.nextSequenceInOrder());
  }

  async #writeThrough(record: GraphRecord): Promise<void> {
    await this.#commit(record, await this.#numbers.ask(record.executionId));
  }

  /** By PostgreSQL's clock. */
  async #sequencesNow(threadIds: string[]): Promise<number[]> {
    const { queue, database, sql, creatingTables } = this.#options;
    const values = [threadIds, queue.producer.lastSequence];
    const [row] = await creatingTables(() => database.query(sql.sequenceNow, values));
    const first = Number(row?.sequence);
    queue.producer.sawSequence(first + threadIds.length - 1);
    return threadIds.map((_, index) => first + index);
  }

  async #commit(record: GraphRecord, sequence: number): Promise<void> {
    const { sink, creatingTables } = this.#options;
    const records = [{ sequence, body: record.toBuffer() }];
    await creatingTables(() => this.#writer.write([{ sink, records }]));
  }
}
