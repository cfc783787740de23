import { DatabaseError } from '../errors.js';
import type { Database, PgClient } from '../postgres/database.js';
import type { TombstoneBounds } from '../postgres/removal.js';

/** A record as a batch holds it: its sequence and the bytes that its sink understands. */
export interface WriteRecord {
  readonly sequence: number;
  readonly body: Buffer;
}

/** What became of the records of a batch. Every record is counted once. */
export interface BatchOutcome {
  /** Stored. A record that was stored before, by an earlier delivery, counts as superseded by itself. */
  committed: number;
  superseded: number;
  deleted: number;
}

/** PostgreSQL refused the batch because of this record, so much is known from the line of the COPY. */
export class RecordRefusedError extends DatabaseError {
  constructor(
    readonly record: WriteRecord,
    refusal: DatabaseError,
  ) {
    super(refusal.message, refusal.sqlState, refusal);
  }
}

/** The records of one batch, folded and encoded, before a connection is taken. */
export interface StagedRecords {
  /** @throws RecordRefusedError where COPY names the line; what PostgreSQL throws otherwise */
  apply(client: PgClient): Promise<BatchOutcome>;
  /**
   * As `apply`, for records that are stored already: as if they never had been. The transaction is rolled back. Without it no record of
   * this sink is a proof against another one: see `commitPersistently`.
   */
  applyAnew?(client: PgClient): Promise<BatchOutcome>;
  /**
   * Called when all sinks of the batch have applied theirs, right before COMMIT: removes what was deleted meanwhile.
   * @returns how many of the committed records that were
   */
  lastLook(client: PgClient): Promise<number>;
}

/** The names by which people know a record. */
export interface RecordIdentity {
  readonly id: string;
  readonly executionId: string;
}

export type MaintenanceBounds = TombstoneBounds;

/** What knows one family of tables: its staging columns and its merge. */
export interface Sink {
  /** Names the sink in the jobs. */
  readonly name: string;
  /** The table that it writes to, for messages and to refuse jobs that are meant for another. */
  readonly target: string;
  /** SQL without parameters, sent with the BEGIN of every batch: staging table and gate. */
  readonly openBatch: string;
  /** Its tables are created when the first record for them arrives, not at start: most installations never use them. */
  readonly createdOnDemand?: boolean;
  /** Creates the tables or brings them up to date. */
  migrate(database: Database): Promise<void>;
  /** Finishes what was broken off and removes what is needed no more; called now and then, by every replica. */
  maintain?(database: Database, bounds: MaintenanceBounds): Promise<void>;
  /** @throws InvalidChunkError if the body is not of this sink. */
  check(body: Buffer): void;
  /** Whose record a checked body is. */
  identify(body: Buffer): RecordIdentity;
  stage(records: readonly WriteRecord[]): StagedRecords;
}
