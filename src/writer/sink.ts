import { DatabaseError } from '../errors.js';
import type { Database, PgClient } from '../postgres/database.js';

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
    { message, sqlState, cause }: DatabaseError,
  ) {
    super(message, sqlState, { cause });
  }
}

/** The records of one batch, folded and encoded, before a connection is taken. */
export interface StagedRecords {
  /** @throws RecordRefusedError where COPY names the line; what PostgreSQL throws otherwise */
  apply(client: PgClient): Promise<BatchOutcome>;
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

/** How long a tombstone is needed. */
export interface MaintenanceBounds {
  readonly tombstoneDays: number;
  /** The oldest record that may still arrive, from the queue or the dead letters; undefined if there is none. */
  readonly oldestSequence: number | undefined;
}

/** What knows one family of tables: its staging columns and its merge. */
export interface Sink {
  /** Names the sink in the jobs. */
  readonly name: string;
  /** The table that it writes to, for messages and to refuse jobs that are meant for another. */
  readonly target: string;
  /** SQL without parameters, sent with the BEGIN of every batch: staging table and gate. */
  readonly openBatch: string;
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
