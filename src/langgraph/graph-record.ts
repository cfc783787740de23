import type { EncodableRecord } from '../chunk.js';
import { ROW_KIND } from '../postgres/graph-tables.js';
import {
  FIELD_LENGTH_BYTES,
  writeBytes,
  writeInteger,
  writeJsonb,
  writeNull,
  writeText,
} from '../writer/copy-binary.js';

/** Before each row of a body. */
export const ROW_LENGTH_BYTES = 4;

/**
 * What one `put` or `putWrites` writes, as one record, so that all of it commits together: rows of the staging table, each with
 * its length before it and its columns, but the sequence, as binary COPY fields. The worker copies them through.
 */
export class GraphRecord implements EncodableRecord {
  readonly executionId: string;
  readonly #body: Buffer;

  /** @param threadId of all rows, of which there is one at least */
  constructor(threadId: string, rows: readonly GraphRow[]) {
    this.executionId = threadId;
    this.#body = encodeRows(threadId, rows);
  }

  get byteLength(): number {
    return this.#body.length;
  }

  writeTo(buffer: Buffer, start: number): void {
    this.#body.copy(buffer, start);
  }

  /** Not a copy. */
  toBuffer(): Buffer {
    return this.#body;
  }
}

/** A row of one of the three tables. JSON is text that JSONB can hold. */
export type GraphRow = CheckpointRow | BlobRow | WriteRow;

interface CheckpointRow {
  readonly kind: 'checkpoint';
  readonly namespace: string;
  readonly checkpointId: string;
  readonly parentId: string | null;
  readonly checkpoint: string;
  readonly metadata: string;
}

interface BlobRow {
  readonly kind: 'blob';
  readonly namespace: string;
  readonly channel: string;
  readonly version: string;
  readonly type: string;
  readonly blob: Uint8Array | null;
}

interface WriteRow {
  readonly kind: 'write';
  readonly namespace: string;
  readonly checkpointId: string;
  readonly taskId: string;
  readonly taskPath: string;
  readonly index: number;
  readonly channel: string;
  readonly type: string;
  readonly blob: Uint8Array;
}

/** Records are encoded here and copied out: in one pass, for the length of a text as UTF-8 is known only when it is written. */
let scratch = Buffer.allocUnsafeSlow(64 * 1024);
/** A larger one is not kept. */
const MAX_SCRATCH_BYTES = 1024 * 1024;

function encodeRows(threadId: string, rows: readonly GraphRow[]): Buffer {
  const most = rows.reduce((sum, row) => sum + mostBytesOf(threadId, row), 0);
  let buffer = scratch;
  if (most > buffer.length) {
    buffer = Buffer.allocUnsafeSlow(most);
    if (most <= MAX_SCRATCH_BYTES) scratch = buffer;
  }
  let end = 0;
  for (const row of rows) {
    const start = end + ROW_LENGTH_BYTES;
    const next = writeRow(buffer, start, threadId, row);
    buffer.writeUInt32BE(next - start, end);
    end = next;
  }
  return Buffer.from(buffer.subarray(0, end));
}

/** UTF-8 has up to three bytes for each unit of a string. */
const MAX_UNIT_BYTES = 3;
/** Of lengths, numbers and marks. */
const MAX_FRAME_BYTES = 80;

function mostBytesOf(threadId: string, row: GraphRow): number {
  const units = (...texts: (string | null)[]) => texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
  const { namespace } = row;
  switch (row.kind) {
    case 'checkpoint': {
      const { checkpointId, parentId, checkpoint, metadata } = row;
      const texts = units(threadId, namespace, checkpointId, parentId, checkpoint, metadata);
      return MAX_FRAME_BYTES + MAX_UNIT_BYTES * texts;
    }
    case 'blob': {
      const { channel, version, type, blob } = row;
      const texts = units(threadId, namespace, channel, version, type);
      return MAX_FRAME_BYTES + MAX_UNIT_BYTES * texts + (blob?.length ?? 0);
    }
    case 'write': {
      const { checkpointId, taskId, taskPath, channel, type, blob } = row;
      const texts = units(threadId, namespace, checkpointId, taskId, taskPath, channel, type);
      return MAX_FRAME_BYTES + MAX_UNIT_BYTES * texts + blob.length;
    }
  }
}

/** All columns of the staging table in its order, but the sequence. */
function writeRow(buffer: Buffer, start: number, threadId: string, row: GraphRow): number {
  let offset = writeInteger(buffer, start, ROW_KIND[row.kind]);
  offset = writeText(buffer, offset, threadId);
  offset = writeText(buffer, offset, row.namespace);
  switch (row.kind) {
    case 'checkpoint':
      offset = writeText(buffer, offset, row.checkpointId);
      offset = row.parentId === null ? writeNull(buffer, offset) : writeText(buffer, offset, row.parentId);
      offset = writeJsonb(buffer, offset, row.checkpoint);
      offset = writeJsonb(buffer, offset, row.metadata);
      return writeNulls(buffer, offset, 7);
    case 'blob':
      offset = writeNulls(buffer, offset, 4);
      offset = writeText(buffer, offset, row.channel);
      offset = writeText(buffer, offset, row.version);
      offset = writeText(buffer, offset, row.type);
      offset = row.blob === null ? writeNull(buffer, offset) : writeBytes(buffer, offset, row.blob);
      return writeNulls(buffer, offset, 3);
    case 'write':
      offset = writeText(buffer, offset, row.checkpointId);
      offset = writeNulls(buffer, offset, 3);
      offset = writeText(buffer, offset, row.channel);
      offset = writeNull(buffer, offset);
      offset = writeText(buffer, offset, row.type);
      offset = writeBytes(buffer, offset, row.blob);
      offset = writeText(buffer, offset, row.taskId);
      offset = writeInteger(buffer, offset, row.index);
      return writeText(buffer, offset, row.taskPath);
  }
}

/** As `writeNull`, of which the length is all ones. */
function writeNulls(buffer: Buffer, offset: number, count: number): number {
  const end = offset + count * FIELD_LENGTH_BYTES;
  buffer.fill(0xff, offset, end);
  return end;
}
