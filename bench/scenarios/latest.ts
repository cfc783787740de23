import { closedLoop } from '../closed-loop.js';
import type { Figures } from '../figures.js';
import { latenciesOf } from '../latencies.js';
import { withPipelineStore } from '../pipeline.js';
import { SAVES_IN_FLIGHT } from '../plan.js';
import { checkpointOf, EXECUTION_IDS, type Save, saveSource } from '../saves.js';
import type { Run } from '../subject.js';
import { withWorker } from '../workers/with-worker.js';
import type { Scenario } from './scenario.js';

const ROWS_OF_EXECUTION = 50;
/** Of the pairs of reads, to open connections and fill caches. */
const WARM_UP_PAIRS = 200;

const KINDS = ['committed', 'latest'] as const;

export const latest: Scenario = {
  name: 'latest',
  about: `latest() of executions with ${ROWS_OF_EXECUTION} rows, nothing pending, one reader, both consistencies in turn`,
  lines: [
    { figure: 'committedReadP50Ms', label: 'committed p50', unit: 'ms' },
    { figure: 'committedReadP99Ms', label: 'committed p99', unit: 'ms' },
    { figure: 'latestReadP50Ms', label: 'latest p50', unit: 'ms' },
    { figure: 'latestReadP99Ms', label: 'latest p99', unit: 'ms' },
    { figure: 'latestCostMs', label: 'latest − committed, p50', unit: 'ms' },
  ],
  measure: measureLatest,
};

function measureLatest({ place, states, plan, signal }: Run): Promise<Figures> {
  return withPipelineStore(place.address, async (store) => {
    const rows = EXECUTION_IDS.length * ROWS_OF_EXECUTION;
    // The worker has ended when reading begins, so it has removed the marks of what it committed.
    await withWorker('pipeline', async (worker) => {
      await worker.start(place.address);
      const next = saveSource(states);
      const save = (one: Save) => store.save(checkpointOf(one));
      await closedLoop({ savers: SAVES_IN_FLIGHT, ends: { afterSaves: rows }, next, save, signal });
      await worker.handled(rows, signal);
    });
    await place.expectRows(place.address.schema, 'checkpoints', rows);

    const took = { committed: [] as number[], latest: [] as number[] };
    for (let pair = -WARM_UP_PAIRS; pair < plan.reads; pair++) {
      signal.throwIfAborted();
      const executionId = EXECUTION_IDS[(pair + WARM_UP_PAIRS) % EXECUTION_IDS.length] as string;
      // The second read of a pair finds its pages warm: each kind is the second one as often as the first.
      for (const consistency of pair % 2 === 0 ? KINDS : [...KINDS].reverse()) {
        const began = performance.now();
        const checkpoint = await store.latest(executionId, { consistency });
        if (pair >= 0) took[consistency].push(performance.now() - began);
        if (!checkpoint) throw new Error(`${consistency} read of an execution that was saved found nothing`);
      }
    }
    const committed = latenciesOf(took.committed);
    const newest = latenciesOf(took.latest);
    return {
      committedReadP50Ms: committed.p50Ms,
      committedReadP99Ms: committed.p99Ms,
      latestReadP50Ms: newest.p50Ms,
      latestReadP99Ms: newest.p99Ms,
      latestCostMs: newest.p50Ms - committed.p50Ms,
    };
  });
}
