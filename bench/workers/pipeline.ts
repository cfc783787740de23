import { CheckpointWriter } from '../../src/index.js';
import type { Address } from '../place.js';
import type { ReplicaSettings, RunningWorker } from './protocol.js';

/** Our worker as it is delivered, but for these settings. */
export async function startPipelineWorker(
  { redisUrl, databaseUrl, schema, queue }: Address,
  handled: (records: number) => void,
  settings: ReplicaSettings,
): Promise<RunningWorker> {
  const writer = new CheckpointWriter({ redis: redisUrl, postgres: databaseUrl, schema, queue, ...settings });
  writer.on('batch', ({ committed, superseded, deleted }) => handled(committed + superseded + deleted));
  await writer.start();
  return writer;
}
