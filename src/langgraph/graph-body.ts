import { InvalidChunkError } from '../errors.js';
import { GRAPH_STAGING_COLUMNS, ROW_KIND } from '../postgres/graph-tables.js';
import { FIELD_LENGTH_BYTES, JSONB_VERSION } from '../writer/copy-binary.js';
import type { RecordIdentity } from '../writer/sink.js';
import { ROW_LENGTH_BYTES } from './graph-record.js';

/** All columns of the staging table but the sequence, which is not known yet. */
const FIELDS = GRAPH_STAGING_COLUMNS.length - 1;
const KIND_FIELD = 0;
const THREAD_FIELD = 1;
const CHECKPOINT_ID_FIELD = 3;
const JSON_FIELDS = [5, 6];
const INDEX_FIELD = 12;
const INTEGER_BYTES = 4;
const HIGHEST_KIND = Math.max(...Object.values(ROW_KIND));
const NULL_LENGTH = -1;

/**
 * What has to be true of each field so that no record breaks the COPY of the others. `start` and `length` are those of its bytes.
 */
const FORMS: ReadonlyArray<(body: Buffer, start: number, length: number) => boolean> = Array.from(
  { length: FIELDS },
  (_, field) => {
    if (field === KIND_FIELD) return isKind;
    if (field === THREAD_FIELD) return (_body, _start, length) => length >= 0;
    if (field === INDEX_FIELD) return (_body, _start, length) => length < 0 || length === INTEGER_BYTES;
    if (JSON_FIELDS.includes(field))
      return (body, start, length) => length < 0 || (length > 0 && body[start] === JSONB_VERSION);
    return () => true;
  },
);

/** Calls `each` with where each row of a record begins and ends. @throws InvalidChunkError if a length points outside */
export function eachRow(body: Buffer, each: (start: number, end: number) => void): void {
  for (let end = 0; end < body.length; ) {
    const start = end + ROW_LENGTH_BYTES;
    if (start > body.length) throw new InvalidChunkError('a graph record is cut short');
    end = start + body.readUInt32BE(end);
    if (end > body.length) throw new InvalidChunkError('a graph record is cut short');
    each(start, end);
  }
}

/** @throws InvalidChunkError if the fields would break the COPY of a batch, or are not those of its kind */
export function checkBody(body: Buffer): void {
  let thread: Field | undefined;
  eachRow(body, (start, end) => {
    const found = checkRow(body, start, end);
    thread ??= found;
    if (body.compare(body, thread.start, thread.end, found.start, found.end) !== 0) {
      throw new InvalidChunkError('a graph record is of one thread');
    }
  });
  if (!thread) throw new InvalidChunkError('a graph record is empty');
}

/** By which people know the record of a checked body. */
export function identifyBody(body: Buffer): RecordIdentity {
  let executionId = '';
  let id = '';
  eachRow(body, (start) => {
    eachField(body, start, (field, from, length) => {
      if (length < 0) return;
      if (field === THREAD_FIELD) executionId ||= body.toString('utf8', from, from + length);
      if (field === CHECKPOINT_ID_FIELD) id ||= body.toString('utf8', from, from + length);
    });
  });
  return { executionId, id };
}

interface Field {
  readonly start: number;
  readonly end: number;
}

/** @returns the thread */
function checkRow(body: Buffer, start: number, end: number): Field {
  let offset = start;
  let thread: Field = { start, end: start };
  for (let field = 0; field < FIELDS; field++) {
    if (offset + FIELD_LENGTH_BYTES > end) throw new InvalidChunkError('a graph row lacks fields');
    const length = body.readInt32BE(offset);
    offset += FIELD_LENGTH_BYTES;
    const after = offset + Math.max(0, length);
    if (length < NULL_LENGTH || after > end || !FORMS[field]?.(body, offset, length)) {
      throw new InvalidChunkError('a field of a graph row has not its form');
    }
    if (field === THREAD_FIELD) thread = { start: offset, end: after };
    offset = after;
  }
  if (offset !== end) throw new InvalidChunkError('the fields of a graph row do not add up');
  return thread;
}

function eachField(
  body: Buffer,
  start: number,
  each: (field: number, start: number, length: number) => void,
) {
  let offset = start;
  for (let field = 0; field < FIELDS; field++) {
    const length = body.readInt32BE(offset);
    offset += FIELD_LENGTH_BYTES;
    each(field, offset, length);
    offset += Math.max(0, length);
  }
}

function isKind(body: Buffer, start: number, length: number): boolean {
  return length === INTEGER_BYTES && body.readUInt32BE(start) <= HIGHEST_KIND;
}
