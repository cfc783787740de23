import { types } from 'node:util';
import {
  type Checkpoint,
  type CheckpointInput,
  serializeCheckpoints,
  serializeSuccessor,
} from '../checkpoint.js';
import { CheckpointNotFoundError, InvalidConfigError } from '../errors.js';
import { checkOptions, type KnownKeys } from '../known-keys.js';
import type { Logger } from '../logger.js';
import { Database, type PostgresOption } from '../postgres/database.js';
import { type Period, tableNames } from '../postgres/identifiers.js';
import type { DroppedPartitions } from '../postgres/partitions.js';
import { openReplica, type ReadReplica } from '../postgres/read-replica.js';
import type { PruneOptions, PruneResult } from '../retention/prune-options.js';
import { Pruning } from '../retention/pruning.js';
import {
  type CheckpointStore,
  checkListOptions,
  checkReadOptions,
  checkSaveBatchOptions,
  checkSaveOptions,
  type ListOptions,
  type ReadOptions,
  type SaveBatchOptions,
  type SaveOptions,
  type SaveReceipt,
} from './checkpoint-store.js';
import { CheckpointTable, type DirectWrite } from './checkpoint-table.js';

export interface PostgresCheckpointStoreOptions {
  /** A DSN, a `pg` pool configuration, or a `pg.Pool`, which stays yours to close. */
  postgres: PostgresOption;
  /**
   * A replica of it for reads, in the same forms: all but those with `consistency: 'latest'` or `atPrimary` go there, and may see
   * what it has not received yet as missing, or as not deleted yet. What it does not answer within 5 s, or refuses, is read at the
   * primary; while it is away no read waits for it. Default: none.
   */
  readPostgres?: PostgresOption | undefined;
  /** Default `public`. */
  schema?: string;
  /** Default `checkpoints`. */
  table?: string;
  /** Partitions the table by `timestamp` where it is created here. Default: a plain table. One that is there stays as it is. */
  partitionBy?: Period | undefined;
  /** Told of connections that are lost and of a replica that is away. Default: silent. */
  logger?: Logger | undefined;
}

const OPTIONS = {
  postgres: true,
  readPostgres: true,
  schema: true,
  table: true,
  partitionBy: true,
  logger: true,
} satisfies KnownKeys<PostgresCheckpointStoreOptions>;

/**
 * The plain store: every save is one statement and is committed when `save` returns. Simple, always at the latest (but for
 * reads of a replica, see `readPostgres`), and as slow as a transaction for every step. May be used beside a queue on the same
 * table; where an id is written both ways with the same version, the order is that of the clocks of Redis and PostgreSQL.
 */
export class PostgresCheckpointStore implements CheckpointStore {
  readonly #database: Database;
  readonly #replica: ReadReplica | undefined;
  readonly #table: CheckpointTable;
  readonly #pruning: Pruning;

  /** @throws InvalidConfigError naming the option. Connects when it is first used. */
  constructor(options: PostgresCheckpointStoreOptions) {
    checkOptions(options, OPTIONS, 'PostgresCheckpointStore');
    const names = tableNames(options);
    const { postgres, readPostgres, logger } = options;
    this.#database = new Database(postgres, { logger });
    this.#replica = openReplica(readPostgres, logger);
    this.#table = new CheckpointTable(this.#database, names, { replica: this.#replica });
    this.#pruning = new Pruning(this.#database, names);
  }

  /**
   * Creates the tables, or brings them up to date. Safe to call from many processes at once. Saves and reads do it by
   * themselves where the tables are missing.
   * @throws SchemaMismatchError if a table of that name is not ours or LangGraphGo's
   */
  initSchema(): Promise<void> {
    return this.#table.migrate();
  }

  /**
   * Of a partitioned table, removes all partitions that hold nothing from this time on, with their checkpoints: in a moment, and
   * without a trace, so that an id of them may be saved again as if it had never been. Nothing of a plain table, nothing of now
   * or later, and nothing that lies in the default partition.
   * @throws InvalidConfigError for `olderThan`; DatabaseError, with SQLSTATE 55P03 where others hold the table for 10 s
   */
  async dropPartitions(olderThan: Date): Promise<DroppedPartitions> {
    if (!types.isDate(olderThan) || Number.isNaN(olderThan.getTime())) {
      throw new InvalidConfigError('olderThan', 'must be a valid Date');
    }
    return this.#table.dropPartitions(olderThan);
  }

  /** @throws InvalidCheckpointError, DatabaseError; VersionConflictError with `expectedVersion` */
  async save(checkpoint: CheckpointInput, options: SaveOptions = {}): Promise<SaveReceipt> {
    checkSaveOptions(options);
    const { expectedVersion } = options;
    if (expectedVersion !== undefined) {
      const serialized = serializeSuccessor(checkpoint, expectedVersion);
      const sequence = await this.#table.compareAndWrite(serialized, expectedVersion);
      return directReceipt(serialized.id, { sequence, outcome: 'committed' });
    }
    const [receipt] = await this.saveBatch([checkpoint]);
    return receipt as SaveReceipt;
  }

  /** Saves all or none, in one transaction. @throws InvalidCheckpointError before anything is written; DatabaseError */
  async saveBatch(
    checkpoints: readonly CheckpointInput[],
    options: SaveBatchOptions = {},
  ): Promise<SaveReceipt[]> {
    checkSaveBatchOptions(options);
    const serialized = serializeCheckpoints(checkpoints);
    const writes = await this.#table.write(serialized);
    return serialized.map(({ id }, index) => directReceipt(id, writes[index] as DirectWrite));
  }

  async load(id: string, options: ReadOptions = {}): Promise<Checkpoint> {
    checkReadOptions(options, 'load');
    const stored = await this.#table.find(id, options);
    if (!stored) throw new CheckpointNotFoundError(id);
    return stored.checkpoint;
  }

  async latest(executionId: string, options: ReadOptions = {}): Promise<Checkpoint | undefined> {
    checkReadOptions(options, 'latest');
    return (await this.#table.latest(executionId, options))?.checkpoint;
  }

  async list(executionId: string, options: ListOptions = {}): Promise<Checkpoint[]> {
    checkListOptions(executionId, options);
    return this.#table.list(executionId, options);
  }

  /**
   * Beside a queue on the same table: what is saved after it returned is stored, whatever the clocks of Redis and PostgreSQL show.
   * What waits in the queue is deleted if it was acknowledged some milliseconds before the call; workers measure the two
   * clocks to tell, as closely as a round trip to each allows. To be exact, delete through the queued store.
   */
  async delete(id: string): Promise<void> {
    await this.#table.remove('checkpoint', id);
  }

  /** Beside a queue: as `delete`. */
  async clear(executionId: string): Promise<void> {
    await this.#table.remove('execution', executionId);
  }

  /**
   * Removes old checkpoints, in transactions of up to a thousand rows. Where a queue writes the same table, prune by a queued
   * store: this one does not see what may still arrive, and a late delivery could bring back what it removes.
   * @throws InvalidConfigError, or InvalidCheckpointError for `executionId`, naming the field; DatabaseError, ClosedError. What was
   *   removed until then stays removed
   */
  prune(options: PruneOptions): Promise<PruneResult> {
    return this.#table.creatingTables(() => this.#pruning.prune(options));
  }

  async close(): Promise<void> {
    await Promise.all([this.#database.close(), this.#replica?.close()]);
  }
}

/** The receipt of a save that was written straight to PostgreSQL. */
export function directReceipt(id: string, { sequence, outcome }: DirectWrite): SaveReceipt {
  return { id, sequence, committed: async () => outcome };
}
