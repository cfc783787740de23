import { InvalidChunkError } from './errors.js';

/**
 * The payload of one job: the records of one chunk, as bytes that the worker passes on without parsing a state. It stands
 * in a Redis key of its own beside the BullMQ job, because JSON within JSON costs 2.5 times the CPU (ARCHITECTURE.md).
 *
 *     format u8 | executions u16, each: length u16, bytes | records u32, each: length u32, body
 *
 * A body is the business of its sink. Numbers are big-endian. Record i has the sequence `first + i`, where `first` is
 * in the job id.
 */
const FORMAT = 1;
const HEADER_BYTES = 1 + 2 + 4;

/** A record whose body is written straight into its chunk's buffer. */
export interface EncodableRecord {
  readonly executionId: string;
  readonly byteLength: number;
  writeTo(buffer: Buffer, offset: number): void;
}

export interface DecodedChunk {
  /** The executions that the records belong to, each once: those with a pending mark for this chunk. */
  readonly executions: string[];
  /** Views of the payload. */
  readonly bodies: Buffer[];
}

/** The executions of the records, each once. */
export function executionsOf(records: readonly EncodableRecord[]): string[] {
  return [...new Set(records.map(({ executionId }) => executionId))];
}

export function encodeChunk(executions: readonly string[], records: readonly EncodableRecord[]): Buffer {
  let size = HEADER_BYTES;
  for (const executionId of executions) size += 2 + Buffer.byteLength(executionId);
  for (const record of records) size += 4 + record.byteLength;
  const buffer = Buffer.allocUnsafe(size);
  let offset = buffer.writeUInt8(FORMAT, 0);
  offset = buffer.writeUInt16BE(executions.length, offset);
  for (const executionId of executions) {
    const length = buffer.write(executionId, offset + 2, 'utf8');
    offset = buffer.writeUInt16BE(length, offset) + length;
  }
  offset = buffer.writeUInt32BE(records.length, offset);
  for (const record of records) {
    offset = buffer.writeUInt32BE(record.byteLength, offset);
    record.writeTo(buffer, offset);
    offset += record.byteLength;
  }
  return buffer;
}

/** @throws InvalidChunkError if a length points outside, or the format is another release's. */
export function decodeChunk(payload: Buffer): DecodedChunk {
  const reader = new ChunkBytes(payload);
  const { executions, records } = readHeader(reader);
  const bodies: Buffer[] = [];
  for (let left = records; left > 0; left--) {
    const start = reader.take(payload.readUInt32BE(reader.take(4)));
    bodies.push(payload.subarray(start, reader.offset));
  }
  if (reader.offset !== payload.length) throw new InvalidChunkError('bytes are left over');
  return { executions, bodies };
}

/** What stands before the bodies. */
export interface ChunkHeader {
  readonly executions: string[];
  readonly records: number;
}

/** @param start the first bytes of a payload, or all. @throws InvalidChunkError as `decodeChunk`, or if the header is longer */
export function decodeHeader(start: Buffer): ChunkHeader {
  return readHeader(new ChunkBytes(start));
}

function readHeader(reader: ChunkBytes): ChunkHeader {
  const { payload } = reader;
  const format = payload[reader.take(1)];
  if (format !== FORMAT) throw new InvalidChunkError(`its format is ${format}, this release reads ${FORMAT}`);
  const executions: string[] = [];
  for (let left = payload.readUInt16BE(reader.take(2)); left > 0; left--) {
    const start = reader.take(payload.readUInt16BE(reader.take(2)));
    executions.push(payload.toString('utf8', start, reader.offset));
  }
  return { executions, records: payload.readUInt32BE(reader.take(4)) };
}

/** Goes through a payload that anybody may have made. */
class ChunkBytes {
  offset = 0;

  constructor(readonly payload: Buffer) {}

  /** @returns where the bytes that were taken begin. @throws InvalidChunkError if there are not so many */
  take(bytes: number): number {
    const start = this.offset;
    this.offset += bytes;
    if (this.offset > this.payload.length) throw new InvalidChunkError('it is cut short');
    return start;
  }
}

/** `w-` and the first sequence: BullMQ refuses ids of digits alone, and the same id again is the same job. */
export function jobIdOf(firstSequence: number): string {
  return `w-${firstSequence}`;
}

/**
 * The job that replays a dead letter, for the nth time. Not the id of the chunk that it came in: that job may still be there,
 * with its other records.
 */
export function replayJobIdOf(sequence: number, replays: number): string {
  return `r-${sequence}-${replays}`;
}

export function isReplay(jobId: string): boolean {
  return jobId.startsWith('r-');
}

/**
 * A record that was refused after so many replays. Each replay has an id of its own, so that a replay that is refused again
 * leaves a dead letter which is not the one that is being removed.
 */
export function deadLetterIdOf(sequence: number, replays: number): string {
  return replays === 0 ? `d-${sequence}` : `d-${sequence}-${replays}`;
}

/** Where a dead letter stands among the others: by sequence, then by how often it was replayed. */
export interface DeadLetterPosition {
  readonly sequence: number;
  readonly replays: number;
}

/** The reverse of `deadLetterIdOf`; undefined if that could not have made it. */
export function parseDeadLetterId(deadLetterId: string): DeadLetterPosition | undefined {
  const [, sequence, replays = '0'] = /^d-(\d{1,16})(?:-([1-9]\d{0,8}))?$/.exec(deadLetterId) ?? [];
  const position = { sequence: Number(sequence), replays: Number(replays) };
  const known =
    Number.isSafeInteger(position.sequence) && deadLetterIdOf(position.sequence, position.replays);
  return known === deadLetterId ? position : undefined;
}

export function comparePositions(a: DeadLetterPosition, b: DeadLetterPosition): number {
  return a.sequence - b.sequence || a.replays - b.replays;
}

/** What the id of a job of ours says. @throws InvalidChunkError if the job is none of ours. */
export function parseJobId(jobId: string | undefined): { firstSequence: number; replays: number } {
  const [, written, replayed, replays = '0'] =
    /^(?:w-(\d{1,16})|r-(\d{1,16})-(\d{1,9}))$/.exec(jobId ?? '') ?? [];
  const firstSequence = Number(written ?? replayed ?? Number.NaN);
  if (!Number.isSafeInteger(firstSequence)) throw new InvalidChunkError('its job id holds no sequence');
  return { firstSequence, replays: Number(replays) };
}

/** What the BullMQ job itself carries: enough for people and dashboards to see what it is, and no data of users. */
export interface ChunkJob {
  /** Which sink the records are for. */
  sink: string;
  /** The table the producer writes to; a worker of another table refuses the job. */
  target: string;
  records: number;
  bytes: number;
  /** Of a dead letter that is replayed: when it was refused for the first time, in milliseconds since 1970. */
  firstFailedAt?: number;
  /** How often the job was set aside because PostgreSQL refuses records of it and nothing shows that they are to blame. */
  setAside?: number;
}
