import type { RunnableConfig } from '@langchain/core/runnables';
import type {
  BaseCheckpointSaver,
  CheckpointListOptions,
  CheckpointTuple,
} from '@langchain/langgraph-checkpoint';
import { onThread } from './scenarios.js';

/** All that a saver tells of a thread, in all the ways in which one may ask. */
export async function readsOf(
  saver: BaseCheckpointSaver,
  threadId: string,
): Promise<Record<string, unknown>> {
  const all = await listed(saver, onThread(threadId));
  const [newest, second] = all;
  const each = await Promise.all(all.map(({ config }) => saver.getTuple(config)));
  const namespaces = [...new Set(all.map(({ config }) => String(config.configurable?.checkpoint_ns)))].sort();
  const channels = [...new Set(all.flatMap(({ checkpoint }) => Object.keys(checkpoint.channel_versions)))];
  return {
    all,
    each: each.map(unordered),
    newest: unordered(await saver.getTuple(onThread(threadId))),
    byNamespace: await Promise.all(
      namespaces.map((checkpoint_ns) => listed(saver, onThread(threadId, { checkpoint_ns }))),
    ),
    limited: await listed(saver, onThread(threadId), { limit: 2 }),
    before: second ? await listed(saver, onThread(threadId), { before: second.config, limit: 3 }) : [],
    one: newest ? await listed(saver, newest.config) : [],
    inputs: await listed(saver, onThread(threadId), { filter: { source: 'input' } }),
    filtered: await listed(saver, onThread(threadId), { filter: { source: 'loop', step: 1 } }),
    none: await listed(saver, onThread(threadId), { filter: { source: 'nobody' } }),
    history: newest
      ? withPlainBytes(await saver.getDeltaChannelHistory({ config: newest.config, channels }))
      : {},
  };
}

async function listed(
  saver: BaseCheckpointSaver,
  config: RunnableConfig,
  options?: CheckpointListOptions,
): Promise<CheckpointTuple[]> {
  const tuples: CheckpointTuple[] = [];
  for await (const tuple of saver.list(config, options)) tuples.push(unordered(tuple) as CheckpointTuple);
  return tuples;
}

/** PostgresSaver knows no task paths, so it has the tasks of a step in another order; that of the writes of each task is the same. */
function unordered(tuple: CheckpointTuple | undefined): CheckpointTuple | undefined {
  const writes = [...(tuple?.pendingWrites ?? [])].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return tuple && (withPlainBytes({ ...tuple, pendingWrites: writes }) as CheckpointTuple);
}

/** PostgresSaver gives a Buffer for what was put as a Uint8Array. */
function withPlainBytes(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return new Uint8Array(value);
  if (Array.isArray(value)) return value.map(withPlainBytes);
  if (Object.getPrototypeOf(value ?? 0) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value as object).map(([key, one]) => [key, withPlainBytes(one)]));
}
