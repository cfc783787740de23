import { decodeChunk, parseDeadLetterId } from '../chunk.js';
import { InvalidChunkError } from '../errors.js';
import type { DeadLetterJob } from '../redis/dead-letter-job.js';
import type { RecordIdentity } from './sink.js';

/** Says the record's names. */
export interface RecordReader {
  readonly name: string;
  check(body: Buffer): void;
  identify(body: Buffer): RecordIdentity;
}

const REASON = 'not known: the job that said it was removed from the queue of the dead letters';
const UNKNOWN = 'unknown';

/**
 * What a dead letter says whose job somebody has removed by BullMQ's own means, as far as its id and its payload tell.
 * @throws InvalidChunkError if the payload is not one record of this sink
 */
export function rebuiltLetter(
  deadLetterId: string,
  payload: Buffer,
  sink: RecordReader,
  target: string,
): DeadLetterJob {
  const position = parseDeadLetterId(deadLetterId);
  const [body, ...others] = decodeChunk(payload).bodies;
  if (!position || !body || others.length > 0) throw new InvalidChunkError('a dead letter is one record');
  sink.check(body);
  const now = Date.now();
  return {
    sink: sink.name,
    target,
    records: 1,
    bytes: body.length,
    ...sink.identify(body),
    ...position,
    sqlState: null,
    reason: REASON,
    firstFailedAt: now,
    lastFailedAt: now,
    jobId: UNKNOWN,
    worker: UNKNOWN,
  };
}
