import { type Checkpoint, deserializeCheckpoint, serializeCheckpoint } from '../checkpoint.js';
import { decodeChunk } from '../chunk.js';
import { InvalidChunkError } from '../errors.js';
import type { DeadLetterRecord } from '../redis/dead-letter-job.js';
import { CheckpointRow, identifyRow, readRow } from '../writer/checkpoint-row.js';
import { CHECKPOINT_SINK } from '../writer/checkpoint-sink.js';

/** A record that PostgreSQL refuses for good, as it is kept. Holds nothing of its state, but with its payload. */
export interface DeadLetter {
  readonly deadLetterId: string;
  /** Of the checkpoint. */
  readonly id: string;
  readonly executionId: string;
  /** The record's place in the order of all saves and deletes; a replay does not change it. */
  readonly sequence: number;
  /** PostgreSQL's code; null where it gave none. */
  readonly sqlState: string | null;
  /** Why it is refused; holds no value of the record. */
  readonly reason: string;
  /** The constraint and the column that refuse it, where PostgreSQL itself names them. */
  readonly constraint?: string;
  readonly column?: string;
  readonly firstFailedAt: Date;
  readonly lastFailedAt: Date;
  /** How often it has been replayed before. */
  readonly replays: number;
  /** The job that the record came in last, and the worker that met it: host and process id. */
  readonly jobId: string;
  readonly worker: string;
  /** What the record was written by, `checkpoints` for those, and the table it is for. */
  readonly sink: string;
  readonly target: string;
  /** Size of the record. */
  readonly bytes: number;
  /** Only where it was asked for. */
  readonly payload?: DeadLetterPayload;
}

/** The record itself: a checkpoint, or bytes that only the sink understands, or that no store of ours would have made. */
export type DeadLetterPayload =
  | { readonly kind: 'checkpoint'; readonly checkpoint: Checkpoint }
  | { readonly kind: 'raw'; readonly body: Buffer };

export function deadLetterOf({ deadLetterId, job }: DeadLetterRecord, chunk?: Buffer): DeadLetter {
  return {
    deadLetterId,
    id: job.id,
    executionId: job.executionId,
    sequence: job.sequence,
    sqlState: job.sqlState,
    reason: job.reason,
    ...(job.constraint !== undefined && { constraint: job.constraint }),
    ...(job.column !== undefined && { column: job.column }),
    firstFailedAt: new Date(job.firstFailedAt),
    lastFailedAt: new Date(job.lastFailedAt),
    replays: job.replays,
    jobId: job.jobId,
    worker: job.worker,
    sink: job.sink,
    target: job.target,
    bytes: job.bytes,
    ...(chunk && { payload: payloadOf(bodyOf(chunk), job.sink) }),
  };
}

/** The one record of a dead letter's chunk. @throws InvalidChunkError */
export function bodyOf(chunk: Buffer): Buffer {
  const [body, ...others] = decodeChunk(chunk).bodies;
  if (!body || others.length > 0) throw new InvalidChunkError('a dead letter is one record');
  return body;
}

export function payloadOf(body: Buffer, sink: string): DeadLetterPayload {
  const checkpoint = sink === CHECKPOINT_SINK ? checkpointOf(body) : undefined;
  return checkpoint ? { kind: 'checkpoint', checkpoint } : { kind: 'raw', body };
}

/** Whether saving the checkpoint would make these bytes again. */
export function isExactly(checkpoint: Checkpoint, body: Buffer): boolean {
  try {
    return new CheckpointRow(serializeCheckpoint(checkpoint)).toBuffer().equals(body);
  } catch {
    // It has a name, or a date, that no store of ours takes.
    return false;
  }
}

function checkpointOf(body: Buffer): Checkpoint | undefined {
  try {
    identifyRow(body);
    const row = readRow(body);
    const checkpoint = row && deserializeCheckpoint(row);
    return checkpoint && Number.isNaN(checkpoint.timestamp.getTime()) ? undefined : checkpoint;
  } catch {
    // Its JSON is none. What that holds is not told: neither here, nor by an error.
    return undefined;
  }
}
