import { closedLoop, type LoopOptions } from '../closed-loop.js';
import type { Figures } from '../figures.js';
import { latenciesOf } from '../latencies.js';
import { median } from '../median.js';
import { withPipeline } from '../pipeline.js';
import { CLEARS_PER_SECOND, SAVES_IN_FLIGHT } from '../plan.js';
import { checkpointOf, EXECUTION_IDS, type Save, saveSource } from '../saves.js';
import type { Run } from '../subject.js';
import { Clearer } from '../workers/clearer.js';
import type { Scenario } from './scenario.js';

/** One execution of so many is cleared while it is saved to, again and again; the others must lose nothing. */
const CLEARED_OF = 8;
const CLEARED = EXECUTION_IDS.filter((_, index) => index % CLEARED_OF === 0);
const SPARED = new Set(EXECUTION_IDS.filter((id) => !CLEARED.includes(id)));
/** Rows of an execution that has ended and is cleared once. */
const FEW_ROWS = 5;

export const clears: Scenario = {
  name: 'clears',
  about:
    `${SAVES_IN_FLIGHT} saves in flight, alternately without and with ${CLEARS_PER_SECOND} clears/s by another process: ` +
    `half of them of executions that are saved to, half of ended ones with ${FEW_ROWS} rows`,
  lines: [
    { figure: 'withoutClears', label: 'sustained without clears', unit: 'saves/s' },
    { figure: 'besideClears', label: 'sustained with clears', unit: 'saves/s' },
    { figure: 'clearsRatio', label: 'with ÷ without', unit: 'ratio' },
    { figure: 'clearsFailed', label: 'clears failed', unit: 'clears' },
    { figure: 'clearP50Ms', label: 'clear p50', unit: 'ms' },
    { figure: 'clearP99Ms', label: 'clear p99', unit: 'ms' },
  ],
  measure: measureClears,
};

interface Load {
  /** Saves a second, until the worker is done with the last of them. */
  readonly rate: number;
  readonly seconds: number;
}

interface LoadWithClears extends Load {
  /** Of those that failed too: until they did. */
  readonly clearMs: number[];
  readonly failed: number;
}

function measureClears({ place, states, plan, signal }: Run): Promise<Figures> {
  return withPipeline(place.address, ({ store, worker }) =>
    Clearer.with(place.address, async (clearer) => {
      const next = saveSource(states);
      let saved = 0;
      let spared = 0;
      const save = (save: Save) => {
        saved++;
        if (SPARED.has(save.executionId)) spared++;
        return store.save(checkpointOf(save));
      };
      const load = async (ends: LoopOptions<Save>['ends']): Promise<Load> => {
        const loop = await closedLoop({ savers: SAVES_IN_FLIGHT, ends, next, save, signal });
        const { commits } = await worker.handled(saved, signal);
        const seconds = (commits.lastAt - loop.beganAt) / 1000;
        return { rate: loop.saves / seconds, seconds };
      };
      let ended = 0;
      const clearedForGood: string[] = [];
      /** Saves executions that end with that: one for every other clear of a window. */
      const endExecutions = async (forMs: number): Promise<string[]> => {
        const count = Math.floor(((forMs / 1000) * CLEARS_PER_SECOND) / 2);
        const ids = Array.from({ length: count }, (_, index) => `ended-${ended + index}`);
        ended += count;
        const ends = { afterSaves: count * FEW_ROWS };
        await closedLoop({ savers: SAVES_IN_FLIGHT, ends, next: saveSource(states, ids), save, signal });
        await worker.handled(saved, signal);
        return ids;
      };
      const loadWithClears = async (forMs: number): Promise<LoadWithClears> => {
        const once = await endExecutions(forMs);
        const calls = Math.ceil((forMs / 1000) * CLEARS_PER_SECOND);
        const executionIds = Array.from({ length: calls }, (_, index) => {
          const ids = index % 2 === 0 ? CLEARED : once;
          return ids[(index >> 1) % ids.length] as string;
        });
        const clearing = clearer.clear({ executionIds, perSecond: CLEARS_PER_SECOND, forMs });
        // The load lasts until the last clear has returned: clears that are late must not find it gone.
        const [loaded, cleared] = await Promise.allSettled([load({ with: clearing }), clearing]);
        if (loaded.status === 'rejected') throw loaded.reason;
        if (cleared.status === 'rejected') throw cleared.reason;
        const { clearMs, executionIds: done } = cleared.value;
        clearedForGood.push(...done.filter((id) => once.includes(id)));
        return { ...loaded.value, clearMs, failed: clearMs.length - done.length };
      };

      await loadWithClears(plan.warmUpMs);
      const without = [await load({ afterMs: plan.clearWindowMs })];
      const beside: LoadWithClears[] = [];
      for (let window = 0; window < plan.clearWindows; window++) {
        beside.push(await loadWithClears(plan.clearWindowMs));
        without.push(await load({ afterMs: plan.clearWindowMs }));
      }

      // How many rows the cleared executions have left is nobody's to say: their saves race with the clears. So every save
      // is followed to its end in the worker, and the rows of all other executions are counted.
      const { handled } = worker.progress.commits;
      if (handled !== saved)
        throw new Error(`${saved} saves were acknowledged, the worker handled ${handled}`);
      const { schema } = place.address;
      await place.expectRows(schema, 'checkpoints', spared, [...SPARED]);
      await place.expectRows(schema, 'checkpoints', 0, clearedForGood);

      const { p50Ms, p99Ms } = latenciesOf(beside.flatMap(({ clearMs }) => clearMs));
      return {
        withoutClears: median(without.map(({ rate }) => rate)),
        besideClears: median(beside.map(({ rate }) => rate)),
        clearsRatio: median(
          beside.map(({ rate }, window) => rate / meanRate(without.slice(window, window + 2))),
        ),
        clearsFailed: beside.reduce((sum, { failed }) => sum + failed, 0),
        clearP50Ms: p50Ms,
        clearP99Ms: p99Ms,
      };
    }),
  );
}

function meanRate(loads: readonly Load[]): number {
  return loads.reduce((sum, { rate }) => sum + rate, 0) / loads.length;
}
