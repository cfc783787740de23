import { MemoryCheckpointStore, PostgresCheckpointStore, QueuedCheckpointStore } from '../../src/index.js';
import { CheckpointWriter } from '../../src/writer/checkpoint-writer.js';
import { openPlace } from '../store/place.js';
import { describeCheckpointStore } from './checkpoint-store.js';

describeCheckpointStore('MemoryCheckpointStore', async () => {
  const store = new MemoryCheckpointStore();
  return { store, settle: async () => {}, close: () => store.close() };
});

describeCheckpointStore('PostgresCheckpointStore', async () => {
  const { postgres, schema, remove } = await openPlace();
  const store = new PostgresCheckpointStore({ postgres, schema });
  const close = async () => {
    await store.close();
    await remove();
  };
  return { store, settle: async () => {}, close };
});

describeCheckpointStore('QueuedCheckpointStore with a CheckpointWriter', async () => {
  const { redis, postgres, schema, queue, remove } = await openPlace();
  const store = new QueuedCheckpointStore({ redis, postgres, schema, queue });
  const writer = new CheckpointWriter({ redis, postgres, schema, queue, lingerMs: 0 });
  await writer.start();
  const close = async () => {
    await store.close();
    await writer.close();
    await remove();
  };
  return { store, settle: () => store.flush(), close };
});
