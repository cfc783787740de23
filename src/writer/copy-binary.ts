import { once } from 'node:events';
import copyStreams from 'pg-copy-streams';
import type { PgClient } from '../postgres/database.js';

/**
 * PostgreSQL's binary COPY format (https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4): a header, rows of
 * a field count and fields of length and bytes, and a trailer. It needs no escaping and no parsing of text rows.
 */
const HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const TRAILER = -1;
const NULL_LENGTH = -1;
/** First byte of a JSONB field, before the text. */
export const JSONB_VERSION = 1;
const EPOCH_2000_MS = 946_684_800_000;
const UINT32 = 2 ** 32;

/** Bytes around the fields of a whole COPY. */
export const COPY_FRAME_BYTES = HEADER.length + 2;
/** Bytes of the length before each field. */
export const FIELD_LENGTH_BYTES = 4;

/** Each writer returns the offset behind what it wrote. */
export function writeHeader(buffer: Buffer): number {
  return HEADER.copy(buffer, 0);
}

export function writeTrailer(buffer: Buffer, offset: number): number {
  return buffer.writeInt16BE(TRAILER, offset);
}

export function writeText(buffer: Buffer, offset: number, text: string): number {
  const length = buffer.write(text, offset + FIELD_LENGTH_BYTES, 'utf8');
  return buffer.writeInt32BE(length, offset) + length;
}

export function writeJsonb(buffer: Buffer, offset: number, json: string | null): number {
  if (json === null) return writeNull(buffer, offset);
  buffer[offset + FIELD_LENGTH_BYTES] = JSONB_VERSION;
  const length = 1 + buffer.write(json, offset + FIELD_LENGTH_BYTES + 1, 'utf8');
  return buffer.writeInt32BE(length, offset) + length;
}

export function writeNull(buffer: Buffer, offset: number): number {
  return buffer.writeInt32BE(NULL_LENGTH, offset);
}

export function writeBytes(buffer: Buffer, offset: number, bytes: Uint8Array): number {
  buffer.set(bytes, buffer.writeInt32BE(bytes.length, offset));
  return offset + FIELD_LENGTH_BYTES + bytes.length;
}

export function writeTimestamp(buffer: Buffer, offset: number, date: Date): number {
  buffer.writeInt32BE(8, offset);
  return buffer.writeBigInt64BE(BigInt(date.getTime() - EPOCH_2000_MS) * 1000n, offset + FIELD_LENGTH_BYTES);
}

/** The reverse of `writeTimestamp`, from the bytes of the field; microseconds are cut off. */
export function readTimestamp(field: Buffer): Date {
  return new Date(Math.floor(Number(field.readBigInt64BE()) / 1000) + EPOCH_2000_MS);
}

export function writeSmallint(buffer: Buffer, offset: number, value: number): number {
  return buffer.writeInt16BE(value, buffer.writeInt32BE(2, offset));
}

export function writeInteger(buffer: Buffer, offset: number, value: number): number {
  return buffer.writeInt32BE(value, buffer.writeInt32BE(4, offset));
}

/** A whole number of at least 0 that a JavaScript number holds exactly. In two halves: a BigInt costs ten times as much. */
export function writeBigint(buffer: Buffer, offset: number, value: number): number {
  const start = buffer.writeInt32BE(8, offset);
  return buffer.writeUInt32BE(value % UINT32, buffer.writeUInt32BE(Math.floor(value / UINT32), start));
}

/** Runs a COPY … FROM STDIN with these bytes. Rejects with PostgreSQL's error; the connection stays usable then. */
export async function copyInto(client: PgClient, sql: string, bytes: Buffer): Promise<void> {
  const stream = client.query(copyStreams.from(sql));
  const finished = once(stream, 'finish');
  stream.end(bytes);
  await finished;
}
