import { CheckpointWriter } from '../../src/index.js';
import type { Address } from '../place.js';
import type { RunningWorker } from './protocol.js';

/** Our worker as it is delivered. */
export async function startPipelineWorker(
  { redisUrl, databaseUrl, schema, queue }: Address,
  committed: (saves: number) => void,
): Promise<RunningWorker> {
  const writer = new CheckpointWriter({ redis: redisUrl, postgres: databaseUrl, schema, queue });
  writer.on('batch', (batch) => committed(batch.committed));
  await writer.start();
  return writer;
}
