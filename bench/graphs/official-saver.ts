import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';
import pg from 'pg';
import { type GraphSubject, OFFICIAL_POOL_SIZES } from './graph-subject.js';
import { makeCalls, runGraphs } from './measure.js';

/** One for each size of its pool. */
export const officialSavers: readonly GraphSubject[] = OFFICIAL_POOL_SIZES.map((size) => ({
  name: `official-${size}`,
  about: `LangGraph's PostgresSaver, pool of ${size}`,
  async measure(run) {
    const { place } = run;
    const pool = new pg.Pool({ connectionString: place.address.databaseUrl, max: size });
    try {
      const saver = new PostgresSaver(pool, undefined, { schema: place.saverSchema });
      await saver.setup();
      const { saves, beganAt, endedAt, p50Ms, p99Ms, puts } = await makeCalls(run, saver);
      await place.expectRows(place.saverSchema, 'checkpoints', puts);
      await place.clear();
      const { runsMs } = await runGraphs(run, saver);
      const rate = (saves / (endedAt - beganAt)) * 1000;
      return {
        callsAcknowledged: rate,
        callsCommitted: rate,
        callP50Ms: p50Ms,
        callP99Ms: p99Ms,
        runsMs,
        runsCommittedMs: runsMs,
      };
    } finally {
      await pool.end();
    }
  },
}));
