import type { RunnableConfig } from '@langchain/core/runnables';
import { MAX_NAME_BYTES, validName } from '../checkpoint.js';
import { InvalidCheckpointError, InvalidConfigError } from '../errors.js';
import { isWhole } from '../numbers.js';

/** Which checkpoints a config of LangGraph names. */
export interface ConfiguredPlace {
  readonly threadId: string | undefined;
  /** Undefined where the config names none: the root's to write to and to read one from, any to list. */
  readonly namespace: string | undefined;
  readonly checkpointId: string | undefined;
}

export function placeOf({ configurable }: RunnableConfig): ConfiguredPlace {
  const { thread_id, checkpoint_ns, checkpoint_id } = configurable ?? {};
  return {
    threadId: named(thread_id),
    namespace: checkpoint_ns === undefined || checkpoint_ns === null ? undefined : String(checkpoint_ns),
    checkpointId: named(checkpoint_id),
  };
}

export function configOf(threadId: string, namespace: string, checkpointId: string): RunnableConfig {
  return { configurable: { thread_id: threadId, checkpoint_ns: namespace, checkpoint_id: checkpointId } };
}

/** @throws InvalidCheckpointError naming the field */
export function validThreadId(threadId: unknown, field = 'thread_id'): string {
  return validName(field, threadId);
}

/**
 * A part of a key of the tables: any text that PostgreSQL can hold.
 * @throws InvalidCheckpointError naming the field
 */
export function validKey(field: string, value: unknown): string {
  return validName(field, value, { mayBeEmpty: true, maxBytes: MAX_KEY_BYTES });
}

/** A part of a key that stands in the checkpoint's JSON as well, where U+001A is written in another way (`serializeJson`). */
export function validJsonKey(field: string, value: unknown): string {
  const key = validKey(field, value);
  if (key.includes('\u001a')) throw new InvalidCheckpointError(field, 'must not hold U+001A');
  return key;
}

/** A namespace tells the way through nested graphs, 45 bytes and more for each; an entry of a B-tree holds about 2,700. */
const MAX_KEY_BYTES = 2 * MAX_NAME_BYTES;

/** LangGraph takes numbers for thread ids as well. */
function named(value: unknown): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  throw new InvalidCheckpointError('configurable', 'must name thread and checkpoint by strings');
}

/**
 * How many a list may show; undefined: all. Takes the text of a number too, as PostgresSaver does.
 * @throws InvalidConfigError naming `limit`
 */
export function limitOf(limit: unknown): number | undefined {
  if (limit === undefined) return undefined;
  const count = typeof limit === 'string' && /^\d+$/.test(limit) ? Number(limit) : limit;
  if (isWhole(count, 0)) return count;
  throw new InvalidConfigError('limit', 'must be a whole number of at least 0');
}

/** Where a checkpoint or its writes go. @throws InvalidCheckpointError naming what is missing */
export function writePlace(config: RunnableConfig): {
  threadId: string;
  namespace: string;
  checkpointId: string | undefined;
} {
  if (config.configurable === undefined)
    throw new InvalidCheckpointError('config.configurable', 'is missing');
  const { threadId, namespace = '', checkpointId } = placeOf(config);
  return { threadId: validThreadId(threadId), namespace, checkpointId };
}
