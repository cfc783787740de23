import type { ChunkJob } from '../chunk.js';

/** What a dead letter's job says of its record: everything but the record itself, which stands in the payload beside it. */
export interface DeadLetterJob extends ChunkJob {
  /** Of the checkpoint. */
  id: string;
  executionId: string;
  /** The record's place in the order of all operations; it keeps it when it is replayed. */
  sequence: number;
  /** How often it has been replayed before. */
  replays: number;
  /** PostgreSQL's code; null where it gave none. */
  sqlState: string | null;
  /** Why PostgreSQL refuses it; holds no value of the record. */
  reason: string;
  /** The constraint and the column that refuse it, where PostgreSQL names them; missing in dead letters of former releases. */
  constraint?: string;
  column?: string;
  /** Milliseconds since 1970. */
  firstFailedAt: number;
  lastFailedAt: number;
  /** The job that the record came in, and the writer that met it. */
  jobId: string;
  worker: string;
}

/** A record that was refused, as it is kept. */
export interface DeadLetterRecord {
  readonly deadLetterId: string;
  readonly job: DeadLetterJob;
}
