import { CheckpointWriter } from '../../src/index.js';
import { GraphSink } from '../../src/langgraph/graph-sink.js';
import { graphTableNames } from '../../src/postgres/graph-tables.js';
import type { Address } from '../place.js';
import type { RunningWorker } from './protocol.js';

/** Our worker with the sink of LangGraph's tables alone: `ckpt worker` has both. */
export async function startGraphPipelineWorker(
  { redisUrl, databaseUrl, schema, queue }: Address,
  handled: (records: number) => void,
): Promise<RunningWorker> {
  const sinks = [new GraphSink(graphTableNames(schema))];
  const writer = new CheckpointWriter({
    redis: redisUrl,
    postgres: databaseUrl,
    queue,
    sinks,
    checkpoints: false,
  });
  writer.on('batch', ({ committed, superseded, deleted }) => handled(committed + superseded + deleted));
  await writer.start();
  return writer;
}
