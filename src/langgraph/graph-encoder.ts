import {
  type ChannelVersions,
  type Checkpoint,
  type CheckpointMetadata,
  type PendingWrite,
  type SerializerProtocol,
  WRITES_IDX_MAP,
} from '@langchain/langgraph-checkpoint';
import { InvalidCheckpointError } from '../errors.js';
import { serializeJson } from '../json.js';
import { validJsonKey, validKey } from './configs.js';
import { GraphRecord, type GraphRow } from './graph-record.js';

/** A version of a channel that has no value. */
const NO_VALUE: readonly [type: string, bytes: null] = ['empty', null];

const UTF8 = new TextDecoder();

interface PlaceInThread {
  readonly threadId: string;
  readonly namespace: string;
}

/**
 * Makes records of what LangGraph puts. All of it is serialised before these return their promise, as far as the serialiser
 * works at its call: the caller may go on mutating its objects.
 */
export class GraphEncoder {
  constructor(private readonly serde: SerializerProtocol) {}

  /** @throws InvalidCheckpointError naming the field */
  async checkpoint(
    { threadId, namespace, parentId }: PlaceInThread & { parentId: string | undefined },
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: ChannelVersions,
  ): Promise<GraphRecord> {
    const { channel_values: values, ...rest } = checkpoint;
    const checkpointId = validKey('checkpoint.id', rest.id);
    validKey('checkpoint_ns', namespace);
    const parent = parentId === undefined ? null : validKey('checkpoint_id', parentId);
    const json = serializeJson(rest) as string;
    const channels = Object.entries(newVersions).map(([channel, version]) => ({
      channel: validJsonKey('channel', channel),
      version: validJsonKey('version', String(version)),
    }));
    const dumped = channels.map(({ channel }) =>
      values !== undefined && Object.hasOwn(values, channel) ? this.#dump(values[channel]) : NO_VALUE,
    );
    const [[, metadataBytes], ...blobs] = await Promise.all([this.#dump(metadata), ...dumped]);
    const metadataText = metadataJson(metadataBytes as Uint8Array);
    const rows: GraphRow[] = [
      {
        kind: 'checkpoint',
        namespace,
        checkpointId,
        parentId: parent,
        checkpoint: json,
        metadata: metadataText,
      },
    ];
    for (const [index, [type, blob]] of blobs.entries()) {
      const { channel, version } = channels[index] as (typeof channels)[number];
      rows.push({ kind: 'blob', namespace, channel, version, type, blob });
    }
    return new GraphRecord(threadId, rows);
  }

  /** @throws InvalidCheckpointError naming the field */
  async writes(
    { threadId, namespace, checkpointId }: PlaceInThread & { checkpointId: string },
    writes: readonly PendingWrite[],
    taskId: string,
    taskPath: string,
  ): Promise<GraphRecord> {
    const place = {
      kind: 'write',
      namespace: validKey('checkpoint_ns', namespace),
      checkpointId: validKey('checkpoint_id', checkpointId),
      taskId: validKey('taskId', taskId),
      taskPath: validKey('taskPath', taskPath),
    } as const;
    const channels = writes.map(([channel]) => validKey('channel', channel));
    const dumped = await Promise.all(writes.map(([, value]) => this.#dump(value)));
    const rows = dumped.map(([type, blob], index): GraphRow => {
      const channel = channels[index] as string;
      return { ...place, index: indexOf(channel, index), channel, type, blob };
    });
    return new GraphRecord(threadId, rows);
  }

  async #dump(value: unknown): Promise<[type: string, bytes: Uint8Array]> {
    // The serialiser passes bytes on as they are, and the caller may change them. (`slice` of a Buffer copies nothing.)
    return this.serde.dumpsTyped(value instanceof Uint8Array ? new Uint8Array(value) : value);
  }
}

/** What of a `put` the encoder serialises: of the channels' values only the new ones. */
export function serializedBy(
  { channel_values: values, ...rest }: Checkpoint,
  metadata: CheckpointMetadata,
  newVersions: ChannelVersions,
): unknown[] {
  return [rest, metadata, ...Object.keys(newVersions).map((channel) => values?.[channel])];
}

/** Errors, interrupts and the like have places of their own, below 0. */
function indexOf(channel: string, index: number): number {
  return Object.hasOwn(WRITES_IDX_MAP, channel) ? (WRITES_IDX_MAP[channel] as number) : index;
}

/** JSON text that JSONB can hold. @throws InvalidCheckpointError if the serialiser made no JSON of it */
function metadataJson(bytes: Uint8Array): string {
  const text = UTF8.decode(bytes);
  try {
    const value: unknown = JSON.parse(text);
    // What JSONB cannot hold is escaped in JSON.
    return text.includes('\\u') ? (serializeJson(value) as string) : text;
  } catch {
    // What the parser says of it would quote the metadata.
    throw new InvalidCheckpointError('metadata', 'is not serialised as JSON by this serialiser');
  }
}
