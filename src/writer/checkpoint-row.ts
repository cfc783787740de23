import type { SerializedCheckpoint } from '../checkpoint.js';
import type { EncodableRecord } from '../chunk.js';
import { InvalidChunkError } from '../errors.js';
import { stringBytes } from '../pending-memory.js';
import {
  FIELD_LENGTH_BYTES,
  JSONB_VERSION,
  readTimestamp,
  writeInteger,
  writeJsonb,
  writeText,
  writeTimestamp,
} from './copy-binary.js';

/**
 * The body of a checkpoint in a chunk: its seven columns as binary COPY fields, in the order of the staging table, so that
 * the worker copies them through. It reads the id, the first field, and the version, the last one, and nothing else.
 */
const FIELDS = 7;
const ID_FIELD = 0;
const EXECUTION_FIELD = 1;
const STATE_FIELD = 3;
const METADATA_FIELD = 4;
const TIMESTAMP_FIELD = 5;
const VERSION_FIELD = 6;
const TIMESTAMP_BYTES = 8;
const VERSION_BYTES = 4;

export class CheckpointRow implements EncodableRecord {
  readonly byteLength: number;
  /** Memory that it takes until it is written. */
  readonly heldBytes: number;

  constructor(readonly checkpoint: SerializedCheckpoint) {
    const { id, executionId, nodeName, state, metadata } = checkpoint;
    const stateBytes = Buffer.byteLength(state);
    const metadataBytes = metadata === null ? 0 : Buffer.byteLength(metadata);
    this.byteLength =
      FIELDS * FIELD_LENGTH_BYTES +
      Buffer.byteLength(id) +
      Buffer.byteLength(executionId) +
      Buffer.byteLength(nodeName) +
      (1 + stateBytes) +
      (metadata === null ? 0 : 1 + metadataBytes) +
      TIMESTAMP_BYTES +
      VERSION_BYTES;
    this.heldBytes = this.byteLength + stringBytes(state, stateBytes) - stateBytes;
    if (metadata !== null) this.heldBytes += stringBytes(metadata, metadataBytes) - metadataBytes;
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

/**
 * @throws InvalidChunkError unless the body is seven fields, to the byte: a wrong length would garble the whole COPY, and
 *   PostgreSQL blames a field of the wrong form not on the record but on the connection, or on itself.
 */
export function identifyRow(body: Buffer): RowIdentity {
  let offset = 0;
  for (let field = 0; field < FIELDS; field++) {
    if (offset + FIELD_LENGTH_BYTES > body.length) throw new InvalidChunkError('a checkpoint lacks fields');
    const length = body.readInt32BE(offset);
    offset += FIELD_LENGTH_BYTES;
    if (!hasForm(field, length, body[offset])) {
      throw new InvalidChunkError('a field of a checkpoint has not its form');
    }
    offset += Math.max(0, length);
  }
  if (offset !== body.length) throw new InvalidChunkError('the fields of a checkpoint do not add up');
  const versionStart = body.length - VERSION_BYTES;
  return {
    key: body.toString('latin1', FIELD_LENGTH_BYTES, FIELD_LENGTH_BYTES + body.readInt32BE(0)),
    version: body.readInt32BE(versionStart),
  };
}

/** The names in a body that `identifyRow` has read. */
export function namesOfRow(body: Buffer): { id: string; executionId: string } {
  const idEnd = FIELD_LENGTH_BYTES + body.readInt32BE(0);
  const executionStart = idEnd + FIELD_LENGTH_BYTES;
  return {
    id: body.toString('utf8', FIELD_LENGTH_BYTES, idEnd),
    executionId: body.toString('utf8', executionStart, executionStart + body.readInt32BE(idEnd)),
  };
}

/**
 * The checkpoint in a body that `identifyRow` has read; undefined where the body is none that a store of ours would make:
 * its text is no UTF-8, or a column that must be there is missing. Its JSON is not looked at.
 */
export function readRow(body: Buffer): SerializedCheckpoint | undefined {
  const fields: (Buffer | null)[] = [];
  for (let offset = 0; offset < body.length; ) {
    const length = body.readInt32BE(offset);
    offset += FIELD_LENGTH_BYTES;
    fields.push(length < 0 ? null : body.subarray(offset, offset + length));
    offset += Math.max(0, length);
  }
  const [id, executionId, nodeName, state, metadata, timestamp, version] = fields;
  if (!id || !executionId || !nodeName || !state || !timestamp || !version) return undefined;
  try {
    const text = (field: Buffer) => UTF8.decode(field);
    return {
      id: text(id),
      executionId: text(executionId),
      nodeName: text(nodeName),
      state: text(state.subarray(1)),
      metadata: metadata ? text(metadata.subarray(1)) : null,
      timestamp: readTimestamp(timestamp),
      version: version.readInt32BE(),
    };
  } catch {
    return undefined;
  }
}

/** What decides which of two saves is newer, and which of two checkpoints comes last, beside their sequences. */
export interface RowPlace {
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly version: number;
}

/** So many bytes at the end of a body say its place: the last two fields, each with its length. */
export const PLACE_BYTES = FIELD_LENGTH_BYTES + TIMESTAMP_BYTES + FIELD_LENGTH_BYTES + VERSION_BYTES;

/** @param end the last `PLACE_BYTES` of a body that `identifyRow` has read, or would */
export function placeOfRow(end: Buffer): RowPlace {
  return {
    timestamp: readTimestamp(
      end.subarray(FIELD_LENGTH_BYTES, FIELD_LENGTH_BYTES + TIMESTAMP_BYTES),
    ).getTime(),
    version: end.readInt32BE(PLACE_BYTES - VERSION_BYTES),
  };
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function hasForm(field: number, length: number, firstByte: number | undefined): boolean {
  switch (field) {
    case ID_FIELD:
    case EXECUTION_FIELD:
      return length > 0;
    case STATE_FIELD:
    case METADATA_FIELD:
      return length < 0 || (length > 0 && firstByte === JSONB_VERSION);
    case TIMESTAMP_FIELD:
      return length === TIMESTAMP_BYTES;
    case VERSION_FIELD:
      return length === VERSION_BYTES;
    default:
      return true;
  }
}
