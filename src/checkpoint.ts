import { types } from 'node:util';
import { InvalidCheckpointError } from './errors.js';
import { type JsonObject, type JsonValue, parseStoredJson, serializeJson } from './json.js';
import { type KnownKeys, unknownKeyOf } from './known-keys.js';

export type { JsonObject, JsonValue } from './json.js';

/** The state of an execution after one of its steps. */
export interface Checkpoint<S = JsonValue> {
  /** Unique in the table. Saving an id again replaces the checkpoint, unless the stored version is higher. */
  id: string;
  /** The run that the checkpoint belongs to. */
  executionId: string;
  /** The step, or graph node, after which it was taken. */
  nodeName: string;
  state: S;
  metadata: JsonObject | null;
  /** Millisecond precision; orders the checkpoints of an execution. */
  timestamp: Date;
  /** 0 to 2,147,483,647. Of two saves of one id the higher version wins, then the later save. */
  version: number;
}

/**
 * What `save` takes: `executionId` defaults to `metadata.execution_id`, `timestamp` to now, `version` to 1; null counts as not given. Any
 * other field is refused.
 */
export interface CheckpointInput<S = unknown> {
  id: string;
  executionId?: string;
  nodeName: string;
  /** Anything that JSON.stringify can print. It is serialised at the call: you may change it afterwards. */
  state: S;
  metadata?: { [key: string]: unknown } | null;
  timestamp?: Date;
  version?: number;
}

const FIELDS = {
  id: true,
  executionId: true,
  nodeName: true,
  state: true,
  metadata: true,
  timestamp: true,
  version: true,
} satisfies KnownKeys<CheckpointInput>;

/** A checkpoint that passed validation, its JSON serialised. */
export interface SerializedCheckpoint {
  readonly id: string;
  readonly executionId: string;
  readonly nodeName: string;
  readonly state: string;
  readonly metadata: string | null;
  readonly timestamp: Date;
  readonly version: number;
}

/** Longest id, execution id or node name, in bytes of UTF-8: a B-tree entry of PostgreSQL holds about 2,700. */
export const MAX_NAME_BYTES = 512;
/** `INTEGER` in PostgreSQL. */
export const MAX_VERSION = 2_147_483_647;
/** PostgreSQL's earliest timestamp is 4713 BC; a JavaScript date ends long before PostgreSQL's latest. */
export const MIN_TIMESTAMP = Date.UTC(-4712, 0, 1);

/** @throws InvalidCheckpointError naming the field, before anything is queued or written. */
export function serializeCheckpoint(input: CheckpointInput): SerializedCheckpoint {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new InvalidCheckpointError('checkpoint', 'must be an object');
  }
  checkFields(input);
  const id = validName('id', input.id);
  const nodeName = validName('nodeName', input.nodeName, { id, mayBeEmpty: true });
  const metadata = input.metadata ?? null;
  if (metadata !== null && (typeof metadata !== 'object' || Array.isArray(metadata))) {
    throw new InvalidCheckpointError('metadata', 'must be an object or null', id);
  }
  const metadataJson = metadata === null ? null : serializeField('metadata', metadata, id);
  if (metadataJson !== null && !metadataJson.startsWith('{')) {
    throw new InvalidCheckpointError('metadata', 'must be an object or null as JSON too', id);
  }
  const executionId = validName('executionId', input.executionId ?? metadata?.execution_id, { id });
  return {
    id,
    executionId,
    nodeName,
    state: serializeField('state', input.state, id),
    metadata: metadataJson,
    timestamp: validTimestamp(input.timestamp ?? new Date(), id),
    version: validVersion(input.version ?? 1, id),
  };
}

/** @throws InvalidCheckpointError naming the field of the first one that is not usable */
export function serializeCheckpoints(inputs: readonly CheckpointInput[]): SerializedCheckpoint[] {
  if (!Array.isArray(inputs)) throw new InvalidCheckpointError('checkpoints', 'must be an array');
  return inputs.map(serializeCheckpoint);
}

/**
 * A misspelt field must not pass for one that is not given. Called with every save: the `switch` takes 20 ns, a look at `FIELDS` for each
 * key 100 ns.
 * @throws InvalidCheckpointError naming the field
 */
function checkFields(input: CheckpointInput): void {
  for (const key in input) {
    switch (key) {
      case 'id':
      case 'executionId':
      case 'nodeName':
      case 'state':
      case 'metadata':
      case 'timestamp':
      case 'version':
        continue;
    }
    const unknown = unknownKeyOf(input, FIELDS);
    if (!unknown) return; // inherited, or undefined
    const id = nameProblem(input.id, false, MAX_NAME_BYTES) === undefined ? input.id : undefined;
    throw new InvalidCheckpointError(unknown.key, `is not a field of a checkpoint${unknown.hint}`, id);
  }
}

/**
 * As `serializeCheckpoint`, for a save that replaces exactly `expectedVersion`: `version` defaults to the one after it.
 * @throws InvalidCheckpointError naming the field; a version below `expectedVersion` could not replace it
 */
export function serializeSuccessor(input: CheckpointInput, expectedVersion: number): SerializedCheckpoint {
  const checkpoint = serializeCheckpoint(input);
  const { id, version } = checkpoint;
  const expected = validVersion(expectedVersion, id, 'expectedVersion');
  if (input.version === undefined || input.version === null) {
    if (expected === MAX_VERSION) {
      throw new InvalidCheckpointError('expectedVersion', 'is the last version: none comes after it', id);
    }
    return { ...checkpoint, version: expected + 1 };
  }
  if (version < expected) throw new InvalidCheckpointError('version', 'is below expectedVersion', id);
  return checkpoint;
}

/** The reverse of `serializeCheckpoint`: values that share nothing with what was saved. */
export function deserializeCheckpoint(row: SerializedCheckpoint): Checkpoint {
  return {
    id: row.id,
    executionId: row.executionId,
    nodeName: row.nodeName,
    state: parseStoredJson(row.state),
    metadata: row.metadata === null ? null : (parseStoredJson(row.metadata) as JsonObject),
    timestamp: new Date(row.timestamp),
    version: row.version,
  };
}

interface NameOptions {
  /** Of the checkpoint that has the name, for the error. */
  id?: string;
  mayBeEmpty?: boolean;
  /** Default 512. */
  maxBytes?: number;
}

/**
 * An id, execution id or node name: a string of 1 (a node name: 0) to 512 bytes, without U+0000 and lone surrogates.
 * @throws InvalidCheckpointError naming the field.
 */
export function validName(
  field: string,
  value: unknown,
  { id, mayBeEmpty = false, maxBytes = MAX_NAME_BYTES }: NameOptions = {},
): string {
  const problem = nameProblem(value, mayBeEmpty, maxBytes);
  if (problem) throw new InvalidCheckpointError(field, problem, id);
  return value as string;
}

function nameProblem(value: unknown, mayBeEmpty: boolean, maxBytes: number): string | undefined {
  if (value === undefined || value === null) return 'is missing';
  if (typeof value !== 'string') return 'must be a string';
  if (value === '' && !mayBeEmpty) return 'is empty';
  if (value.includes('\0')) return 'must not hold U+0000';
  if (/\p{Surrogate}/u.test(value)) return 'must not hold a lone surrogate';
  const bytes = Buffer.byteLength(value);
  return bytes > maxBytes ? `has ${bytes} bytes; ${maxBytes} is the limit` : undefined;
}

function serializeField(field: string, value: unknown, id: string): string {
  let text: string | undefined;
  try {
    text = serializeJson(value);
  } catch (error) {
    // The original message names keys of the state, so only what kind of failure it was is passed on.
    throw new InvalidCheckpointError(field, jsonProblem(error), id);
  }
  if (text === undefined) throw new InvalidCheckpointError(field, 'is not a JSON value', id);
  return text;
}

function jsonProblem(error: unknown): string {
  if (error instanceof RangeError) return 'is nested too deeply, or too long, for JSON.stringify';
  if (error instanceof TypeError && error.message.includes('BigInt'))
    return 'holds a BigInt, which JSON cannot';
  if (error instanceof TypeError && error.message.includes('circular')) return 'holds a circular reference';
  return 'has a toJSON method or a getter that threw';
}

function validTimestamp(value: unknown, id: string): Date {
  if (!types.isDate(value)) throw new InvalidCheckpointError('timestamp', 'must be a Date', id);
  // Of the Date itself: a subclass may answer anything.
  const time = Date.prototype.getTime.call(value);
  if (Number.isNaN(time)) throw new InvalidCheckpointError('timestamp', 'is an invalid date', id);
  if (time < MIN_TIMESTAMP) throw new InvalidCheckpointError('timestamp', 'is before 4713 BC', id);
  return new Date(time);
}

function validVersion(value: unknown, id: string, field = 'version'): number {
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    throw new InvalidCheckpointError(field, 'must be a whole number', id);
  }
  if (value < 0 || value > MAX_VERSION) {
    throw new InvalidCheckpointError(field, `must be from 0 to ${MAX_VERSION}`, id);
  }
  return value;
}
