import { type CheckpointInput, serializeCheckpoint, validName } from '../checkpoint.js';
import { deadLetterIdOf, type EncodableRecord } from '../chunk.js';
import { InvalidCheckpointError, InvalidChunkError, InvalidDeadLetterError } from '../errors.js';
import type { JsonObject, JsonValue } from '../json.js';
import { isLabel } from '../postgres/identifiers.js';
import type { DeadLetterJob } from '../redis/dead-letter-job.js';
import { CheckpointRow, identifyRow, namesOfRow } from '../writer/checkpoint-row.js';
import { CHECKPOINT_SINK } from '../writer/checkpoint-sink.js';
import { bodyOf, type DeadLetter, deadLetterOf, isExactly, payloadOf } from './dead-letter.js';

/** The record of a line: what makes its bytes again, to the byte. */
type LineRecord =
  | {
      checkpoint: {
        nodeName: string;
        state: JsonValue;
        metadata: JsonObject | null;
        timestamp: string;
        version: number;
      };
    }
  | { /** Base64. */ body: string };

/** A dead letter with all that belongs to it, as JSON. Times are ISO 8601. */
export type DeadLetterLine = Omit<DeadLetter, 'payload' | 'bytes' | 'firstFailedAt' | 'lastFailedAt'> & {
  firstFailedAt: string;
  lastFailedAt: string;
} & LineRecord;

/** A line that was read. */
export interface ImportableLetter {
  readonly job: DeadLetterJob;
  readonly record: EncodableRecord;
}

/** @throws InvalidChunkError */
export function lineOf(deadLetterId: string, job: DeadLetterJob, chunk: Buffer): DeadLetterLine {
  const { bytes, firstFailedAt, lastFailedAt, ...letter } = deadLetterOf({ deadLetterId, job });
  return {
    ...letter,
    firstFailedAt: firstFailedAt.toISOString(),
    lastFailedAt: lastFailedAt.toISOString(),
    ...recordOf(bodyOf(chunk), job),
  };
}

function recordOf(body: Buffer, job: DeadLetterJob): LineRecord {
  const payload = payloadOf(body, job.sink);
  if (payload.kind === 'checkpoint') {
    const { id, executionId, nodeName, state, metadata, timestamp, version } = payload.checkpoint;
    const named = id === job.id && executionId === job.executionId;
    if (named && isExactly(payload.checkpoint, body)) {
      return { checkpoint: { nodeName, state, metadata, timestamp: timestamp.toISOString(), version } };
    }
  }
  return { body: body.toString('base64') };
}

/** @param given an object, or JSON text of one. @throws InvalidDeadLetterError naming line and field */
export function letterOfLine(given: unknown, line: number): ImportableLetter {
  const refuse = (field: string, problem: string): never => {
    throw new InvalidDeadLetterError(line, field, problem);
  };
  const value = objectOf(given) ?? refuse('line', 'must be a JSON object');
  const text = (field: string, pattern: Pick<RegExp, 'test'>): string => {
    const found = value[field];
    if (typeof found === 'string' && pattern.test(found)) return found;
    return refuse(field, found === undefined ? 'is missing' : 'has not its form');
  };
  const whole = (field: string, maximum: number): number => {
    const found = value[field];
    if (Number.isSafeInteger(found) && (found as number) >= 0 && (found as number) <= maximum)
      return found as number;
    return refuse(field, `must be a whole number from 0 to ${maximum}`);
  };
  const time = (field: string): number => {
    const found = new Date(text(field, /^\d{4}-\d\d-\d\dT/)).getTime();
    return Number.isNaN(found) ? refuse(field, 'must be a time in ISO 8601') : found;
  };
  const name = (field: string): string => {
    try {
      return validName(field, value[field]);
    } catch (error) {
      return refuse(field, (error as InvalidCheckpointError).problem);
    }
  };
  const sequence = whole('sequence', Number.MAX_SAFE_INTEGER);
  // A replay counts one more, and its job id has room for nine digits.
  const replays = whole('replays', 999_999_998);
  if (value.deadLetterId !== deadLetterIdOf(sequence, replays)) {
    refuse('deadLetterId', 'is not that of its sequence and replays');
  }
  const sink = text('sink', NAME);
  const job = {
    id: name('id'),
    executionId: name('executionId'),
    sequence,
    replays,
    sqlState: value.sqlState === null ? null : text('sqlState', /^[0-9A-Z]{5}$/),
    reason: text('reason', /^.{0,10000}$/s),
    ...(value.constraint !== undefined && { constraint: text('constraint', IDENTIFIER) }),
    ...(value.column !== undefined && { column: text('column', IDENTIFIER) }),
    firstFailedAt: time('firstFailedAt'),
    lastFailedAt: time('lastFailedAt'),
    jobId: text('jobId', NAME),
    worker: text('worker', /^.{0,1000}$/s),
    sink,
    target: text('target', TABLE),
    records: 1,
  };
  const record = bodyOfLine(value, job, refuse);
  return { job: { ...job, bytes: record.byteLength }, record };
}

/** A name that PostgreSQL may give to a constraint or column. */
const IDENTIFIER = /^[^\p{C}\p{Zl}\p{Zp}]{1,63}$/u;
/** Names of our own making: sinks, tables, jobs. */
const NAME = /^[\w.$-]{1,200}$/;
const TABLE = { test: (target: string) => NAME.test(target) || isLabel(target) };

function objectOf(given: unknown): Record<string, unknown> | undefined {
  let value = given;
  if (typeof given === 'string') {
    try {
      value = JSON.parse(given);
    } catch {
      return undefined;
    }
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? (value as Record<string, unknown>) : undefined;
}

function bodyOfLine(
  { checkpoint, body }: Record<string, unknown>,
  { id, executionId, sink }: Pick<DeadLetterJob, 'id' | 'executionId' | 'sink'>,
  refuse: (field: string, problem: string) => never,
): EncodableRecord {
  if ((checkpoint === undefined) === (body === undefined))
    refuse('checkpoint', 'or body must be there, and not both');
  if (body !== undefined) {
    const bytes = typeof body === 'string' ? Buffer.from(body, 'base64') : refuse('body', 'must be base64');
    if (bytes.toString('base64') !== body) refuse('body', 'must be base64');
    if (sink === CHECKPOINT_SINK) checkBody(bytes, { id, executionId }, refuse);
    return recordOfBytes(executionId, bytes);
  }
  const fields = objectOf(checkpoint) ?? refuse('checkpoint', 'must be an object');
  if (sink !== CHECKPOINT_SINK) refuse('checkpoint', 'is not what this sink writes');
  const timestamp = typeof fields.timestamp === 'string' ? new Date(fields.timestamp) : fields.timestamp;
  try {
    return new CheckpointRow(
      serializeCheckpoint({ ...fields, id, executionId, timestamp } as CheckpointInput),
    );
  } catch (error) {
    if (!(error instanceof InvalidCheckpointError)) throw error;
    return refuse(`checkpoint.${error.field}`, error.problem);
  }
}

/** A body that a worker could not read would end among the failed jobs. */
function checkBody(
  bytes: Buffer,
  { id, executionId }: Pick<DeadLetterJob, 'id' | 'executionId'>,
  refuse: (field: string, problem: string) => never,
): void {
  try {
    identifyRow(bytes);
  } catch (error) {
    if (!(error instanceof InvalidChunkError)) throw error;
    refuse('body', 'is no checkpoint');
  }
  const names = namesOfRow(bytes);
  if (names.id !== id || names.executionId !== executionId) refuse('body', 'is of another checkpoint');
}

function recordOfBytes(executionId: string, body: Buffer): EncodableRecord {
  return {
    executionId,
    byteLength: body.length,
    writeTo: (buffer, offset) => void body.copy(buffer, offset),
  };
}
