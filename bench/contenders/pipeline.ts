import { withPipelineStore } from '../pipeline.js';
import { queueRecords } from '../plan.js';
import { checkpointOf } from '../saves.js';
import type { Contender } from './contender.js';
import { measureQueued } from './queued.js';

export const pipeline: Contender = {
  name: 'pipeline',
  about: 'checkpoint-queue: QueuedCheckpointStore and one CheckpointWriter process, all defaults',
  measure: (run) =>
    withPipelineStore(run.place.address, (store) =>
      measureQueued(run, {
        worker: 'pipeline',
        fill: queueRecords(run.plan, run.states),
        save: (save) => store.save(checkpointOf(save)),
      }),
    ),
};
