import { QueueUnavailableError } from '../errors.js';
import type { Database } from '../postgres/database.js';
import type { Producer } from '../producer/producer.js';
import { BatchWriter } from '../writer/batch-writer.js';
import type { CheckpointRow } from '../writer/checkpoint-row.js';
import type { CheckpointSink } from '../writer/checkpoint-sink.js';
import type { ClockOffset } from '../writer/clock-offset.js';
import type { CommitOutcome, SaveReceipt } from './checkpoint-store.js';
import type { CheckpointTable, DirectWrite } from './checkpoint-table.js';
import type { OutcomeReader } from './outcome-reader.js';
import { directReceipt } from './postgres-store.js';

export interface DirectWritesOptions {
  producer: Producer;
  database: Database;
  table: CheckpointTable;
  sink: CheckpointSink;
  outcomes: OutcomeReader;
  clocks: Pick<ClockOffset, 'get'>;
  /** Whether to write while Redis is away, with a sequence from PostgreSQL's clock. */
  withoutRedis: boolean;
}

/**
 * The saves of a queued store that go past its queue, straight to PostgreSQL, and yet have their place in the order of what
 * is queued. They are committed when they return; the caller has taken their memory until then.
 */
export class DirectWrites {
  readonly #options: DirectWritesOptions;
  readonly #writer: BatchWriter;

  constructor(options: DirectWritesOptions) {
    this.#options = options;
    this.#writer = new BatchWriter(options.database, options.clocks);
  }

  /** Writes what is too large for Redis. @throws QueueUnavailableError, DatabaseError */
  async oversize(row: CheckpointRow): Promise<SaveReceipt> {
    const { producer, table, sink, outcomes } = this.#options;
    const { id, executionId, version } = row.checkpoint;
    const sequence = await producer.nextSequenceInOrder();
    const write = () => this.#writer.write([{ sink, records: [{ sequence, body: row.toBuffer() }] }]);
    const { committed, deleted } = await table.creatingTables(write);
    const [outcome] =
      committed > 0
        ? (['committed'] as const)
        : deleted > 0
          ? (['deleted'] as const)
          : [await outcomes.read({ id, executionId, version, sequence })];
    return { id, sequence, committed: async () => outcome as CommitOutcome };
  }

  /** Writes what Redis did not take. @throws DatabaseError */
  async writeThrough({ checkpoint }: CheckpointRow): Promise<SaveReceipt> {
    const { producer, table } = this.#options;
    const [write] = await table.write([checkpoint], producer.lastSequence);
    const { sequence } = write as DirectWrite;
    producer.sawSequence(sequence);
    return directReceipt(checkpoint.id, write as DirectWrite);
  }

  /**
   * Writes only if the stored version is the expected one. An error other than that of the version leaves open whether it was
   * written: the stored version tells.
   * @throws VersionConflictError, QueueUnavailableError unless `withoutRedis`, DatabaseError
   */
  async compareAndSave({ checkpoint }: CheckpointRow, expectedVersion: number): Promise<SaveReceipt> {
    const { producer, table } = this.#options;
    const drawn = await this.#unlessAway(() => producer.nextSequenceInOrder());
    const order = drawn === undefined ? { above: producer.lastSequence } : { sequence: drawn };
    const sequence = await table.compareAndWrite(checkpoint, expectedVersion, order);
    producer.sawSequence(sequence);
    // The stored row was numbered by a clock ahead of Redis': what any process saves from now on must still be newer.
    if (drawn !== undefined && sequence > drawn) {
      await this.#unlessAway(() => producer.raiseSequence(sequence));
    }
    return directReceipt(checkpoint.id, { sequence, outcome: 'committed' });
  }

  /** Undefined where Redis is away and may be. @throws QueueUnavailableError unless `withoutRedis` */
  async #unlessAway<T>(ask: () => Promise<T>): Promise<T | undefined> {
    try {
      return await ask();
    } catch (error) {
      if (!this.#options.withoutRedis || !(error instanceof QueueUnavailableError)) throw error;
      return undefined;
    }
  }
}
