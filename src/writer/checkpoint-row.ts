import type { SerializedCheckpoint } from '../checkpoint.js';
import type { EncodableRecord } from '../chunk.js';
import { InvalidChunkError } from '../errors.js';
import { FIELD_LENGTH_BYTES, writeInteger, writeJsonb, writeText, writeTimestamp } from './copy-binary.js';

/**
 * The body of a checkpoint in a chunk: its seven columns as binary COPY fields, in the order of the staging table, so that
 * the worker copies them through. It reads the id, the first field, and the version, the last one, and nothing else.
 */
const FIELDS = 7;
const TIMESTAMP_BYTES = 8;
const VERSION_BYTES = 4;

export class CheckpointRow implements EncodableRecord {
  readonly byteLength: number;

  constructor(readonly checkpoint: SerializedCheckpoint) {
    const { id, executionId, nodeName, state, metadata } = checkpoint;
    this.byteLength =
      FIELDS * FIELD_LENGTH_BYTES +
      Buffer.byteLength(id) +
      Buffer.byteLength(executionId) +
      Buffer.byteLength(nodeName) +
      (1 + Buffer.byteLength(state)) +
      (metadata === null ? 0 : 1 + Buffer.byteLength(metadata)) +
      TIMESTAMP_BYTES +
      VERSION_BYTES;
  }

  get executionId(): string {
    return this.checkpoint.executionId;
  }

  writeTo(buffer: Buffer, start: number): void {
    const { id, executionId, nodeName, state, metadata, timestamp, version } = this.checkpoint;
    let offset = writeText(buffer, start, id);
    offset = writeText(buffer, offset, executionId);
    offset = writeText(buffer, offset, nodeName);
    offset = writeJsonb(buffer, offset, state);
    offset = writeJsonb(buffer, offset, metadata);
    offset = writeTimestamp(buffer, offset, timestamp);
    writeInteger(buffer, offset, version);
  }

  toBuffer(): Buffer {
    const buffer = Buffer.allocUnsafe(this.byteLength);
    this.writeTo(buffer, 0);
    return buffer;
  }
}

/** What the writer needs to know of a body. `key` is the id's bytes as Latin-1: equal exactly if the ids are. */
export interface RowIdentity {
  readonly key: string;
  readonly version: number;
}

/** @throws InvalidChunkError unless the body is seven fields, to the byte: a wrong length would garble the whole COPY. */
export function identifyRow(body: Buffer): RowIdentity {
  let offset = 0;
  for (let field = 0; field < FIELDS; field++) {
    if (offset + FIELD_LENGTH_BYTES > body.length) throw new InvalidChunkError('a checkpoint lacks fields');
    const length = body.readInt32BE(offset);
    offset += FIELD_LENGTH_BYTES + Math.max(0, length);
  }
  const versionStart = body.length - VERSION_BYTES;
  if (offset !== body.length || body.readInt32BE(versionStart - FIELD_LENGTH_BYTES) !== VERSION_BYTES) {
    throw new InvalidChunkError('the fields of a checkpoint do not add up');
  }
  return {
    key: body.toString('latin1', FIELD_LENGTH_BYTES, FIELD_LENGTH_BYTES + body.readInt32BE(0)),
    version: body.readInt32BE(versionStart),
  };
}
