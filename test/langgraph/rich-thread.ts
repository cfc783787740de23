import { AIMessage, HumanMessage } from '@langchain/core/messages';
import {
  type BaseCheckpointSaver,
  type Checkpoint,
  ERROR,
  emptyCheckpoint,
  INTERRUPT,
  RESUME,
  uuid6,
} from '@langchain/langgraph-checkpoint';
import { onThread } from './scenarios.js';

/** Values of all the kinds that channels hold. */
const VALUES: Record<string, unknown> = {
  messages: [new HumanMessage('Grüße 👋'), new AIMessage({ content: 'x'.repeat(2000), id: 'm1' })],
  bytes: new Uint8Array([0, 1, 254, 255]),
  set: new Set([1, 'a']),
  map: new Map([['k', { deep: [1, null, 2.5] }]]),
  error: new Error('what went wrong'),
  nothing: null,
  truth: false,
  number: 1e21,
  text: 'line\nline \\u0041 "quoted"',
};

/** A checkpoint of a thread, for savers that are put to without a graph. */
export function checkpointOf(
  step: number,
  values: Record<string, unknown>,
  versions: Record<string, number>,
): Checkpoint {
  return {
    ...emptyCheckpoint(),
    id: uuid6(step),
    ts: new Date(Date.UTC(2024, 1, 1) + step * 1000).toISOString(),
    channel_values: values,
    channel_versions: versions,
    versions_seen: { node: versions },
  };
}

/** Four checkpoints in two namespaces, with values of all kinds, channels without a value, and writes of several tasks. */
export async function putRichThread(saver: BaseCheckpointSaver, threadId: string): Promise<void> {
  let config = onThread(threadId, { checkpoint_ns: '' });
  const versions: Record<string, number> = {};
  for (const [step, source] of (['input', 'loop', 'update'] as const).entries()) {
    const fresh: Record<string, number> = {};
    for (const channel of Object.keys(VALUES).filter((_, index) => index % 3 >= step || step === 0)) {
      fresh[channel] = saver.getNextVersion(versions[channel]) as number;
    }
    // It has a version and no value.
    fresh.gone = saver.getNextVersion(versions.gone) as number;
    Object.assign(versions, fresh);
    const checkpoint = checkpointOf(step, VALUES, { ...versions });
    const metadata = { source, step, parents: {}, tags: ['a', 'ü'], nested: { step } };
    config = await saver.put(config, checkpoint, metadata, fresh);
    await saver.putWrites(config, Object.entries(VALUES) as never, `task-${step}-b`);
    await saver.putWrites(config, [[INTERRUPT, { value: 'first' }]], `task-${step}-a`);
    await saver.putWrites(config, [[INTERRUPT, { value: 'second' }]], `task-${step}-a`);
    await saver.putWrites(config, [[ERROR, { message: 'failed' }]], `task-${step}-c`);
    await saver.putWrites(config, [[RESUME, ['yes']]], `task-${step}-a`);
    // Of an ordinary write the first one counts.
    await saver.putWrites(config, [['messages', 'too late']], `task-${step}-b`);
  }
  const nested = onThread(threadId, { checkpoint_ns: 'child:1' });
  const checkpoint = checkpointOf(9, { log: ['nested'] }, { log: 1.5 });
  await saver.put(nested, checkpoint, { source: 'loop', step: 0, parents: { '': 'root' } }, { log: 1.5 });
}
