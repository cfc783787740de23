import type { BaseCheckpointSaver } from '@langchain/langgraph-checkpoint';
import { deltaChannelHistoryTests, validate } from '@langchain/langgraph-checkpoint-validation';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WorkerProcess } from '../faults/replica.js';
import { openPlace, type Place } from '../store/place.js';
import { graphWorkerEnv, openSaver } from './place.js';

/** What LangGraph itself asks of a checkpointer; the writer is a process of its own. */
let place: Place;
let worker: WorkerProcess;

beforeAll(async () => {
  place = await openPlace();
  worker = WorkerProcess.spawn(place, { env: graphWorkerEnv(place) });
  await worker.ready;
}, 120_000);

afterAll(async () => {
  await worker?.remove();
  await place?.remove();
});

const initializer = {
  checkpointerName: 'QueuedPostgresSaver',
  createCheckpointer: async () => {
    const saver = openSaver(place);
    await saver.setup();
    return saver as BaseCheckpointSaver;
  },
  destroyCheckpointer: async (saver: BaseCheckpointSaver) => {
    const queued = saver as ReturnType<typeof openSaver>;
    await queued.flush();
    await queued.end();
    const tables = ['checkpoints', 'checkpoint_blobs', 'checkpoint_writes'];
    await place.pool.query(`TRUNCATE ${tables.map((table) => `${place.schema}.${table}`).join(', ')}`);
  },
};

// The suite takes the functions of vitest for globals.
Object.assign(globalThis, { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it });
validate(initializer as never);
deltaChannelHistoryTests(initializer as never);
