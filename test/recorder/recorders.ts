import { onTestFinished } from 'vitest';
import {
  CheckpointRecorder,
  type CheckpointRecorderOptions,
  type CheckpointStore,
  MemoryCheckpointStore,
  PostgresCheckpointStore,
} from '../../src/index.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';

/** Each of the stores, opened for one test and closed with it. */
export const STORES: Array<[name: string, open: () => Promise<CheckpointStore>]> = [
  ['MemoryCheckpointStore', async () => new MemoryCheckpointStore()],
  ['PostgresCheckpointStore', async () => plainStore(await testPlace())],
  [
    'QueuedCheckpointStore',
    async () => {
      const place = await testPlace();
      await startWriter(place, { lingerMs: 0 });
      return testStore(place);
    },
  ],
];

export function plainStore({ postgres, schema }: Place): PostgresCheckpointStore {
  const store = new PostgresCheckpointStore({ postgres, schema });
  onTestFinished(() => store.close());
  return store;
}

/** Closed with the test. What fails in the background fails the test, unless it says what to do with it. */
export function testRecorder<S = unknown>(options: CheckpointRecorderOptions<S>): CheckpointRecorder<S> {
  const failures: unknown[] = [];
  const recorder = new CheckpointRecorder<S>({ onError: (error) => failures.push(error), ...options });
  onTestFinished(async () => {
    await recorder.close({ deadlineMs: 0 });
    if (failures.length > 0) throw new AggregateError(failures, 'failures in the background');
  });
  return recorder;
}
