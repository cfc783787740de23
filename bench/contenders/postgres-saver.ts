import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';
import pg from 'pg';
import { POOL_SIZE } from '../plan.js';
import type { Save } from '../saves.js';
import type { Contender } from './contender.js';
import { measureDirect } from './direct.js';

const CHANNEL = 'state';
const CHECKPOINT_FORMAT = 4;

export const postgresSaver: Contender = {
  name: 'postgres-saver',
  about: `LangGraph's PostgresSaver.put, the state in one channel, pool of ${POOL_SIZE}`,
  async measure(run) {
    const { saverSchema } = run.place;
    const pool = new pg.Pool({ connectionString: run.place.address.databaseUrl, max: POOL_SIZE });
    try {
      const saver = new PostgresSaver(pool, undefined, { schema: saverSchema });
      await saver.setup();
      return await measureDirect(
        run,
        (save) => putSave(saver, save),
        async (saves) => {
          await run.place.expectRows(saverSchema, 'checkpoints', saves);
          await run.place.expectRows(saverSchema, 'checkpoint_blobs', saves);
        },
      );
    } finally {
      await pool.end();
    }
  },
};

/** As LangGraph's loop calls it after a step that changed the channel. */
export function putSave(saver: PostgresSaver, { id, executionId, state, step }: Save): Promise<unknown> {
  const versions = { [CHANNEL]: step + 1 };
  const checkpoint = {
    v: CHECKPOINT_FORMAT,
    id,
    ts: new Date().toISOString(),
    channel_values: { [CHANNEL]: state },
    channel_versions: versions,
    versions_seen: {},
  };
  const config = { configurable: { thread_id: executionId, checkpoint_ns: '' } };
  return saver.put(config, checkpoint, { source: 'loop', step, parents: {} }, versions);
}
