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
const EMPTY_TYPE = 'empty';

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
    const id = validKey('checkpoint.id', rest.id);
    const row = {
      kind: 'checkpoint',
      namespace: validKey('checkpoint_ns', namespace),
      checkpointId: id,
    } as const;
    const json = serializeJson(rest) as string;
    const blobs = Object.entries(newVersions).map(async ([channel, version]): Promise<GraphRow> => {
      const has = values !== undefined && Object.hasOwn(values, channel);
      const [type, blob] = has ? await this.#dump(values[channel]) : [EMPTY_TYPE, null];
      const key = {
        channel: validJsonKey('channel', channel),
        version: validJsonKey('version', String(version)),
      };
      return { kind: 'blob', namespace, ...key, type, blob };
    });
    const [metadataJson, ...rows] = await Promise.all([this.#metadata(metadata), ...blobs]);
    const parent = parentId === undefined ? null : validKey('checkpoint_id', parentId);
    return new GraphRecord(threadId, [
      { ...row, parentId: parent, checkpoint: json, metadata: metadataJson },
      ...rows,
    ]);
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
    const rows = writes.map(async ([channel, value], index): Promise<GraphRow> => {
      const [type, blob] = await this.#dump(value);
      return { ...place, index: indexOf(channel, index), channel: validKey('channel', channel), type, blob };
    });
    return new GraphRecord(threadId, await Promise.all(rows));
  }

  /** JSON text that JSONB can hold. */
  async #metadata(metadata: CheckpointMetadata): Promise<string> {
    const [, bytes] = await this.serde.dumpsTyped(metadata);
    let value: unknown;
    try {
      value = JSON.parse(new TextDecoder().decode(bytes));
    } catch {
      // What the parser says of it would quote the metadata.
      throw new InvalidCheckpointError('metadata', 'is not serialised as JSON by this serialiser');
    }
    return serializeJson(value) as string;
  }

  async #dump(value: unknown): Promise<[type: string, bytes: Uint8Array]> {
    // The serialiser passes bytes on as they are, and the caller may change them. (`slice` of a Buffer copies nothing.)
    return this.serde.dumpsTyped(value instanceof Uint8Array ? new Uint8Array(value) : value);
  }
}

/** Errors, interrupts and the like have places of their own, below 0. */
function indexOf(channel: string, index: number): number {
  return Object.hasOwn(WRITES_IDX_MAP, channel) ? (WRITES_IDX_MAP[channel] as number) : index;
}
