import { QueuedCheckpointStore } from '../../src/index.js';
import { queueRecords } from '../plan.js';
import type { Contender } from './contender.js';
import { measureQueued } from './queued.js';

export const pipeline: Contender = {
  name: 'pipeline',
  about: 'checkpoint-queue: QueuedCheckpointStore and one CheckpointWriter process, all defaults',
  async measure(run) {
    const { redisUrl, databaseUrl, schema, queue } = run.place.address;
    const store = new QueuedCheckpointStore({ redis: redisUrl, postgres: databaseUrl, schema, queue });
    try {
      return await measureQueued(run, {
        worker: 'pipeline',
        fill: queueRecords(run.plan, run.states),
        save: ({ id, executionId, nodeName, state, step }) =>
          store.save({ id, executionId, nodeName, state, metadata: { step } }),
      });
    } finally {
      await store.close();
    }
  },
};
