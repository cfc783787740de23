import { onTestFinished } from 'vitest';
import { CheckpointWriter, type CheckpointWriterOptions } from '../../src/index.js';
import { langGraphSink } from '../../src/langgraph/index.js';
import type { Place } from '../store/place.js';

/** Options of a writer of the graph tables of the place, and of no others. */
export function graphWriterOptions({ redis, postgres, schema, queue }: Place): CheckpointWriterOptions {
  return { redis, postgres, queue, checkpoints: false, sinks: [langGraphSink({ schema })] };
}

/** A running writer of the graph tables that is closed with the test. */
export async function startGraphWriter(
  place: Place,
  options: Partial<CheckpointWriterOptions> = {},
): Promise<CheckpointWriter> {
  const writer = new CheckpointWriter({ ...graphWriterOptions(place), ...options });
  onTestFinished(() => writer.close());
  await writer.start();
  return writer;
}
