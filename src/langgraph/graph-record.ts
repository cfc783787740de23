import type { EncodableRecord } from '../chunk.js';
import { InvalidChunkError } from '../errors.js';
import { GRAPH_STAGING_COLUMNS, ROW_KIND } from '../postgres/graph-tables.js';
import {
  FIELD_LENGTH_BYTES,
  JSONB_VERSION,
  writeBytes,
  writeInteger,
  writeJsonb,
  writeNull,
  writeText,
} from '../writer/copy-binary.js';
import type { RecordIdentity } from '../writer/sink.js';

/**
 * What one `put` or `putWrites` writes, as one record, so that all of it commits together: rows of the staging table, each with
 * its length before it and its columns, but the sequence, as binary COPY fields. The worker copies them through.
 */
export class GraphRecord implements EncodableRecord {
  readonly executionId: string;
  readonly byteLength: number;
  readonly #rows: readonly Row[];

  /** @param threadId of all rows, of which there is one at least */
  constructor(threadId: string, rows: readonly GraphRow[]) {
    this.executionId = threadId;
    this.#rows = rows.map((row) => new Row(fieldsOf(threadId, row)));
    this.byteLength = this.#rows.reduce((sum, { byteLength }) => sum + ROW_LENGTH_BYTES + byteLength, 0);
  }

  writeTo(buffer: Buffer, start: number): void {
    let offset = start;
    for (const row of this.#rows) {
      buffer.writeUInt32BE(row.byteLength, offset);
      offset = row.writeTo(buffer, offset + ROW_LENGTH_BYTES);
    }
  }

  toBuffer(): Buffer {
    const buffer = Buffer.allocUnsafe(this.byteLength);
    this.writeTo(buffer, 0);
    return buffer;
  }
}

/** A row of one of the three tables. JSON is text that JSONB can hold. */
export type GraphRow =
  | {
      readonly kind: 'checkpoint';
      readonly namespace: string;
      readonly checkpointId: string;
      readonly parentId: string | null;
      readonly checkpoint: string;
      readonly metadata: string;
    }
  | {
      readonly kind: 'blob';
      readonly namespace: string;
      readonly channel: string;
      readonly version: string;
      readonly type: string;
      readonly blob: Uint8Array | null;
    }
  | {
      readonly kind: 'write';
      readonly namespace: string;
      readonly checkpointId: string;
      readonly taskId: string;
      readonly taskPath: string;
      readonly index: number;
      readonly channel: string;
      readonly type: string;
      readonly blob: Uint8Array;
    };

const ROW_LENGTH_BYTES = 4;
/** All columns of the staging table but the sequence, which is not known yet. */
const FIELDS = GRAPH_STAGING_COLUMNS.length - 1;
const INTEGER_BYTES = 4;
const KIND_FIELD = 0;
const THREAD_FIELD = 1;
const CHECKPOINT_ID_FIELD = 3;
const JSON_FIELDS = [5, 6];
const INDEX_FIELD = 12;

class Json {
  constructor(readonly text: string) {}
}

type Field = null | number | string | Uint8Array | Json;

function fieldsOf(threadId: string, row: GraphRow): Field[] {
  const { kind, namespace } = row;
  const place = [ROW_KIND[kind], threadId, namespace];
  switch (kind) {
    case 'checkpoint': {
      const { checkpointId, parentId, checkpoint, metadata } = row;
      const json = [new Json(checkpoint), new Json(metadata)];
      return [...place, checkpointId, parentId, ...json, null, null, null, null, null, null, null];
    }
    case 'blob': {
      const { channel, version, type, blob } = row;
      return [...place, null, null, null, null, channel, version, type, blob, null, null, null];
    }
    case 'write': {
      const { checkpointId, taskId, taskPath, index, channel, type, blob } = row;
      return [...place, checkpointId, null, null, null, channel, null, type, blob, taskId, index, taskPath];
    }
  }
}

class Row {
  readonly byteLength: number;

  constructor(private readonly fields: readonly Field[]) {
    let bytes = 0;
    for (const field of fields) bytes += FIELD_LENGTH_BYTES + bytesOf(field);
    this.byteLength = bytes;
  }

  writeTo(buffer: Buffer, start: number): number {
    let offset = start;
    for (const field of this.fields) {
      if (field === null) offset = writeNull(buffer, offset);
      else if (typeof field === 'string') offset = writeText(buffer, offset, field);
      else if (typeof field === 'number') offset = writeInteger(buffer, offset, field);
      else if (field instanceof Json) offset = writeJsonb(buffer, offset, field.text);
      else offset = writeBytes(buffer, offset, field);
    }
    return offset;
  }
}

function bytesOf(field: Field): number {
  if (field === null) return 0;
  if (typeof field === 'string') return Buffer.byteLength(field);
  if (typeof field === 'number') return INTEGER_BYTES;
  return field instanceof Json ? JSONB_VERSION_BYTES + Buffer.byteLength(field.text) : field.length;
}

const JSONB_VERSION_BYTES = 1;

/** The rows of a record's body, as they are copied. @throws InvalidChunkError if it is none of ours */
export function rowsOf(body: Buffer): Buffer[] {
  const rows: Buffer[] = [];
  for (let offset = 0; offset < body.length; ) {
    if (offset + ROW_LENGTH_BYTES > body.length) throw new InvalidChunkError('a graph record is cut short');
    const start = offset + ROW_LENGTH_BYTES;
    offset = start + body.readUInt32BE(offset);
    if (offset > body.length) throw new InvalidChunkError('a graph record is cut short');
    rows.push(body.subarray(start, offset));
  }
  if (rows.length === 0) throw new InvalidChunkError('a graph record is empty');
  return rows;
}

/** @throws InvalidChunkError if the fields would break the COPY of a batch, or are not those of its kind */
export function checkBody(body: Buffer): void {
  const threads = rowsOf(body).map(checkRow);
  if (threads.some((thread) => !thread.equals(threads[0] as Buffer))) {
    throw new InvalidChunkError('a graph record is of one thread');
  }
}

/** By which people know the record of a checked body. */
export function identifyBody(body: Buffer): RecordIdentity {
  const rows = rowsOf(body).map((row) => [...splitFields(row)]);
  const text = (field: number) => rows.map((fields) => fields[field]).find((value) => value != null);
  return {
    executionId: text(THREAD_FIELD)?.toString('utf8') ?? '',
    id: text(CHECKPOINT_ID_FIELD)?.toString('utf8') ?? '',
  };
}

/** @returns the thread */
function checkRow(row: Buffer): Buffer {
  const fields = [...splitFields(row)];
  if (fields.length !== FIELDS) throw new InvalidChunkError(`a graph row has ${FIELDS} fields`);
  const kind = fields[KIND_FIELD];
  const kinds: number[] = Object.values(ROW_KIND);
  if (kind?.length !== INTEGER_BYTES || !kinds.includes(kind.readInt32BE()))
    throw new InvalidChunkError('a graph row is of no known kind');
  const index = fields[INDEX_FIELD];
  if (index != null && index.length !== INTEGER_BYTES)
    throw new InvalidChunkError('a graph row has no index');
  const thread = fields[THREAD_FIELD];
  if (thread == null) throw new InvalidChunkError('a graph row names no thread');
  for (const json of JSON_FIELDS.map((field) => fields[field])) {
    if (json != null && json[0] !== JSONB_VERSION) throw new InvalidChunkError('a graph row holds no JSON');
  }
  return thread;
}

function* splitFields(row: Buffer): Generator<Buffer | null> {
  for (let offset = 0; offset < row.length; ) {
    if (offset + FIELD_LENGTH_BYTES > row.length) throw new InvalidChunkError('a graph row is cut short');
    const length = row.readInt32BE(offset);
    offset += FIELD_LENGTH_BYTES;
    if (length === -1) yield null;
    else {
      if (length < 0 || offset + length > row.length) throw new InvalidChunkError('a graph row is cut short');
      yield row.subarray(offset, offset + length);
      offset += length;
    }
  }
}
