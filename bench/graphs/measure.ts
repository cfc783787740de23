import type { BaseCheckpointSaver } from '@langchain/langgraph';
import { closedLoop, type LoopResult } from '../closed-loop.js';
import { median } from '../median.js';
import { SAVERS } from '../plan.js';
import type { Run } from '../subject.js';
import { agentGraph, runThread } from './agent-graph.js';
import { callSource, recordRuns, type ThreadCall } from './calls.js';

export interface MadeCalls extends LoopResult {
  /** All calls that were made, those of the warm-up included, and those of `put` among them. */
  readonly made: number;
  readonly puts: number;
}

/** Threads that make the calls of recorded runs, each call after the other. `settle` is called with what the warm-up made. */
export async function makeCalls(
  { states, plan, signal }: Run,
  saver: BaseCheckpointSaver,
  settle: (made: number) => Promise<unknown> = async () => {},
): Promise<MadeCalls> {
  const next = callSource(await recordRuns(states, saver));
  let made = 0;
  let puts = 0;
  const save = (call: ThreadCall) => {
    made++;
    if (call.kind === 'put') puts++;
    return call.make(saver, call.threadId);
  };
  const loop = { savers: SAVERS, next, save, signal };
  // By calls, not by time: on a busy machine the compiler would not be done with the first one's program.
  await closedLoop({ ...loop, ends: { afterSaves: plan.graphWarmUpCalls } });
  await settle(made);
  const result = await closedLoop({ ...loop, ends: { afterMs: plan.windowMs } });
  return { ...result, made, puts };
}

export interface GraphRuns {
  /** Medians, in milliseconds: until the last run returned, and until `settle` did. */
  readonly runsMs: number;
  readonly settledMs: number;
}

/** Whole runs by all threads at once, again and again; the first time does not count. */
export async function runGraphs(
  { states, plan, signal }: Run,
  saver: BaseCheckpointSaver,
  settle: () => Promise<unknown> = async () => {},
): Promise<GraphRuns> {
  const graph = agentGraph(states, saver);
  const took: GraphRuns[] = [];
  for (let round = 0; round <= plan.graphRuns; round++) {
    signal.throwIfAborted();
    const began = performance.now();
    await Promise.all(
      Array.from({ length: SAVERS }, (_, thread) => runThread(graph, `run-${round}-${thread}`, thread)),
    );
    const runsMs = performance.now() - began;
    await settle();
    took.push({ runsMs, settledMs: performance.now() - began });
  }
  const [, ...counted] = took;
  return {
    runsMs: median(counted.map(({ runsMs }) => runsMs)),
    settledMs: median(counted.map(({ settledMs }) => settledMs)),
  };
}
