import { setTimeout as delay } from 'node:timers/promises';
import { FaultyProxy } from '../../test/faults/faulty-proxy.js';
import { closedLoop } from '../closed-loop.js';
import type { Figures } from '../figures.js';
import { median } from '../median.js';
import { withPipelineStore } from '../pipeline.js';
import type { Address } from '../place.js';
import { SAVES_IN_FLIGHT } from '../plan.js';
import { checkpointOf, type Save, saveSource } from '../saves.js';
import type { Run } from '../subject.js';
import type { WorkerHandle } from '../workers/handle.js';
import type { ReplicaSettings } from '../workers/protocol.js';
import { withWorkers } from '../workers/with-worker.js';
import type { Scenario } from './scenario.js';

/** Of a round trip between worker and PostgreSQL, half of it each way. */
const ROUND_TRIP_MS = 10;
const REPLICAS = 4;
/**
 * Replicas that wait for the network more than they compute, so that it is the replicas that are measured, and not how many of them two
 * cores can feed: with the defaults two batches of 4000 are under way, and a single replica takes most of such a machine.
 */
const SMALL_BATCHES: ReplicaSettings = { concurrency: 8, maxBatchRecords: 250, maxConcurrentBatches: 1 };
const DEFAULTS: ReplicaSettings = {};
/** A window ends early rather than measure a queue that runs empty. */
const DRAINED = 0.8;
const LOOK_MS = 5;

export const replicas: Scenario = {
  name: 'replicas',
  about:
    `a full queue, PostgreSQL ${ROUND_TRIP_MS} ms away (round trip), one replica and ${REPLICAS} in turn: ` +
    `with batches of ${SMALL_BATCHES.maxBatchRecords}, one at a time; and with the defaults`,
  lines: [
    { figure: 'smallBatchesOne', label: 'small batches, 1 replica', unit: 'saves/s' },
    { figure: 'smallBatchesFour', label: `small batches, ${REPLICAS} replicas`, unit: 'saves/s' },
    { figure: 'smallBatchesRatio', label: `small batches, ${REPLICAS} ÷ 1`, unit: 'ratio' },
    { figure: 'defaultsOne', label: 'defaults, 1 replica', unit: 'saves/s' },
    { figure: 'defaultsFour', label: `defaults, ${REPLICAS} replicas`, unit: 'saves/s' },
    { figure: 'defaultsRatio', label: `defaults, ${REPLICAS} ÷ 1`, unit: 'ratio' },
  ],
  measure: measureReplicas,
};

async function measureReplicas(run: Run): Promise<Figures> {
  const proxy = await FaultyProxy.start(run.place.address.databaseUrl);
  proxy.delay({ toServer: ROUND_TRIP_MS / 2, toClient: ROUND_TRIP_MS / 2 });
  try {
    const far = { ...run.place.address, databaseUrl: proxy.url };
    const small = await compare(run, far, SMALL_BATCHES, run.plan.smallBatchesRecords);
    const defaults = await compare(run, far, DEFAULTS, run.plan.defaultsRecords);
    return {
      smallBatchesOne: small.one,
      smallBatchesFour: small.four,
      smallBatchesRatio: small.ratio,
      defaultsOne: defaults.one,
      defaultsFour: defaults.four,
      defaultsRatio: defaults.ratio,
    };
  } finally {
    await proxy.refuse();
  }
}

interface Rates {
  readonly one: number;
  readonly four: number;
  /** Of neighbours in time: the machine's moods are in both. */
  readonly ratio: number;
}

async function compare(run: Run, far: Address, settings: ReplicaSettings, filled: number): Promise<Rates> {
  const rates: Record<keyof Rates, number[]> = { one: [], four: [], ratio: [] };
  for (let window = 0; window < run.plan.replicaWindows; window++) {
    const one = await drainRate(run, far, { settings, filled, count: 1 });
    const four = await drainRate(run, far, { settings, filled, count: REPLICAS });
    rates.one.push(one);
    rates.four.push(four);
    rates.ratio.push(four / one);
  }
  return { one: median(rates.one), four: median(rates.four), ratio: median(rates.ratio) };
}

/** Records a second that so many replicas commit of a queue that does not run empty, once each of them is at work. */
async function drainRate(
  { place, states, plan, signal }: Run,
  far: Address,
  { settings, filled, count }: { settings: ReplicaSettings; filled: number; count: number },
): Promise<number> {
  await place.clear();
  await withPipelineStore(place.address, (store) =>
    closedLoop({
      savers: SAVES_IN_FLIGHT,
      ends: { afterSaves: filled },
      next: saveSource(states),
      save: (save: Save) => store.save(checkpointOf(save)),
      signal,
    }),
  );
  return withWorkers('pipeline', count, async (workers) => {
    await Promise.all(workers.map((worker) => worker.start(far, settings)));
    await Promise.all(workers.map((worker) => worker.handled(1, signal)));
    const began = performance.now();
    const first = handledBy(workers);
    for (;;) {
      await delay(LOOK_MS, undefined, { signal });
      const handled = handledBy(workers);
      const ms = performance.now() - began;
      if (handled > first && (ms >= plan.replicaWindowMs || handled >= filled * DRAINED))
        return ((handled - first) / ms) * 1000;
      if (ms > plan.replicaWindowMs) throw new Error(`${count} replicas committed nothing meanwhile`);
    }
  });
}

function handledBy(workers: readonly WorkerHandle[]): number {
  return workers.reduce((sum, { progress }) => sum + progress.commits.handled, 0);
}
