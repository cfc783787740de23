import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { PostgresCheckpointStore } from '../../src/index.js';
import { POOL_SIZE, queueRecords } from '../plan.js';
import type { Save } from '../saves.js';
import type { Contender } from './contender.js';
import { measureQueued } from './queued.js';

export const jobPerSave: Contender = {
  name: 'job-per-save',
  about: `one BullMQ job per save, its worker upserts each by itself, pool of ${POOL_SIZE}`,
  async measure(run) {
    const { redisUrl, databaseUrl, schema, queue: name } = run.place.address;
    const tables = new PostgresCheckpointStore({ postgres: databaseUrl, schema });
    await tables.initSchema().finally(() => tables.close());
    const connection = new Redis(redisUrl);
    const queue = new Queue<Save>(name, { connection });
    // Without a listener an error event would end the process; the add that failed tells.
    for (const emitter of [connection, queue]) emitter.on('error', () => {});
    try {
      return await measureQueued(run, {
        worker: 'job-per-save',
        fill: Math.min(run.plan.drainJobs, queueRecords(run.plan, run.states)),
        save: (save) => queue.add('save', save, { removeOnComplete: true }),
      });
    } finally {
      await queue.close();
      connection.disconnect();
    }
  },
};
