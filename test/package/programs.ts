/** Programs of an application that uses this package, as texts. */

/** Names what there is to name, and passes what people pass. */
export const TYPED_APPLICATION = `
import {
  CheckpointNotFoundError,
  CheckpointRecorder,
  type CheckpointStore,
  CheckpointWriter,
  DeadLetters,
  MemoryCheckpointStore,
  type PgPool,
  PostgresCheckpointStore,
  QueuedCheckpointStore,
  type SaveReceipt,
} from 'checkpoint-queue';
import { Redis } from 'ioredis';

const redis = new Redis('redis://127.0.0.1:6379');
const pool: PgPool = { connect: () => Promise.reject(new Error()), end: async () => {} };
const stores: CheckpointStore[] = [
  new QueuedCheckpointStore({ redis, postgres: { host: 'db', password: async () => 'secret', max: 4, ssl: { ca: '' } } }),
  new QueuedCheckpointStore({ redis: { host: 'redis' }, postgres: pool, writer: { lingerMs: 1 } }),
  new PostgresCheckpointStore({ postgres: 'postgresql://db/agents' }),
  new MemoryCheckpointStore(),
];
for (const store of stores) {
  const receipt: SaveReceipt = await store.save({ id: 'a', executionId: 'run', nodeName: 'n', state: { step: 1 } });
  const outcome: 'committed' | 'superseded' | 'deleted' = await receipt.committed();
  const version: number | undefined = (await store.latest('run', { consistency: 'latest' }))?.version;
  const recorder = new CheckpointRecorder<{ step: number }>({ store });
  const step: number | undefined = (await recorder.resume())?.state.step;
  console.log(outcome, version, step);
}
const writer = new CheckpointWriter({ redis, postgres: pool, retention: { keepLast: 10 } });
writer.on('batch', ({ committed }) => console.log(committed.toFixed()));
const letters = new DeadLetters({ redis });
for (const letter of await letters.list()) console.log(letter.deadLetterId.length, letter.lastFailedAt);
console.log(new CheckpointNotFoundError('a').code satisfies string);
`;

export const TYPED_GRAPH_APPLICATION = `
import type { BaseCheckpointSaver } from '@langchain/langgraph-checkpoint';
import { CheckpointWriter } from 'checkpoint-queue';
import { langGraphSink, QueuedPostgresSaver } from 'checkpoint-queue/langgraph';

const place = { redis: 'redis://127.0.0.1:6379', postgres: 'postgresql://db/agents' };
const saver = new QueuedPostgresSaver({ ...place, schema: 'public', writer: { lingerMs: 1 } });
export const checkpointer: BaseCheckpointSaver = saver;
export const writer = new CheckpointWriter({ ...place, checkpoints: false, sinks: [langGraphSink({ schema: 'public' })] });
for (const { threadId } of await saver.listThreads()) console.log(threadId.length);
`;

/** A CommonJS program; compiled as that, and as it is. */
export const TYPED_COMMONJS = `
import queue = require('checkpoint-queue');

export const store: queue.CheckpointStore = new queue.MemoryCheckpointStore();
`;

export const REQUIRES = `
const { QueuedCheckpointStore, CheckpointWriter } = require('checkpoint-queue');
const { QueuedPostgresSaver, langGraphSink } = require('checkpoint-queue/langgraph');
console.log([QueuedCheckpointStore, CheckpointWriter, QueuedPostgresSaver, langGraphSink].map((each) => typeof each).join());
`;

/** Saves and puts, commits both in its own process, and reads back what it has saved. It is told the place as its argument. */
export const BUNDLED = `
import { CheckpointWriter, QueuedCheckpointStore } from 'checkpoint-queue';
import { langGraphSink, QueuedPostgresSaver } from 'checkpoint-queue/langgraph';
import { emptyCheckpoint } from '@langchain/langgraph-checkpoint';

async function main() {
  const { redis, postgres, queue, schema } = JSON.parse(process.argv[2]);
  const place = { redis, postgres, queue };
  const writer = new CheckpointWriter({ ...place, schema, table: 'agent_checkpoints', sinks: [langGraphSink({ schema })] });
  const store = new QueuedCheckpointStore({ ...place, schema, table: 'agent_checkpoints' });
  const saver = new QueuedPostgresSaver({ ...place, schema });
  await writer.start();
  const thread = { configurable: { thread_id: 'thread', checkpoint_ns: '' } };
  const put = await saver.put(thread, emptyCheckpoint(), { source: 'input', step: -1, parents: {} }, {});
  const { committed } = await store.save({ id: 'a', executionId: 'run', nodeName: 'n', state: { bundled: true } });
  const outcome = await committed();
  const { state } = await store.latest('run', { consistency: 'latest' });
  const tuple = await saver.getTuple(put);
  console.log(JSON.stringify({ outcome, state, put: tuple.checkpoint.id === put.configurable.checkpoint_id }));
  await Promise.all([store.close(), saver.end()]);
  await writer.close();
}
main();
`;
