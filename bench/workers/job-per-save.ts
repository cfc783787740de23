import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { openUpserts } from '../contenders/upsert.js';
import type { Address } from '../place.js';
import { POOL_SIZE } from '../plan.js';
import type { Save } from '../saves.js';
import type { RunningWorker } from './protocol.js';

/** One job for each connection: more gained nothing, on two cores. */
const CONCURRENCY = POOL_SIZE;

/** What one writes first: a processor that upserts the one save of its job. */
export async function startJobPerSaveWorker(
  address: Address,
  handled: (records: number) => void,
): Promise<RunningWorker> {
  const upserts = openUpserts(address);
  const connection = new Redis(address.redisUrl, { maxRetriesPerRequest: null });
  const worker = new Worker<Save>(
    address.queue,
    async ({ data }) => {
      await upserts.upsert(data);
      handled(1);
    },
    { connection, concurrency: CONCURRENCY },
  );
  worker.on('error', (error) => console.error(`job-per-save worker: ${error.message}`));
  await worker.waitUntilReady();
  const close = async () => {
    await worker.close();
    connection.disconnect();
    await upserts.close();
  };
  return { close };
}
