import { QueuedCheckpointStore } from '../src/index.js';
import type { Address } from './place.js';
import type { WorkerHandle } from './workers/handle.js';
import { withWorker } from './workers/with-worker.js';

export interface Pipeline {
  readonly store: QueuedCheckpointStore;
  /** Takes jobs already. */
  readonly worker: WorkerHandle;
}

/** Lends our store as it is delivered. */
export async function withPipelineStore<T>(
  { redisUrl, databaseUrl, schema, queue }: Address,
  use: (store: QueuedCheckpointStore) => Promise<T>,
): Promise<T> {
  const store = new QueuedCheckpointStore({ redis: redisUrl, postgres: databaseUrl, schema, queue });
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

/** Lends our store with a worker beside it. */
export function withPipeline<T>(address: Address, use: (pipeline: Pipeline) => Promise<T>): Promise<T> {
  return withPipelineStore(address, (store) =>
    withWorker('pipeline', async (worker) => {
      await worker.start(address);
      return use({ store, worker });
    }),
  );
}
