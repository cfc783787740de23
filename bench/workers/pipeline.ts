import { CheckpointWriter } from '../../src/index.js';
import type { Address } from '../place.js';
import type { RunningWorker } from './protocol.js';

/** Our worker as it is delivered. */
export async function startPipelineWorker(
  { redisUrl, databaseUrl, schema, queue }: Address,
  handled: (records: number) => void,
): Promise<RunningWorker> {
  const writer = new CheckpointWriter({ redis: redisUrl, postgres: databaseUrl, schema, queue });
  writer.on('batch', ({ committed, superseded, deleted }) => handled(committed + superseded + deleted));
  await writer.start();
  return writer;
}
