import { closedLoop, type LoopResult } from '../closed-loop.js';
import { rateAfterFirst } from '../commits.js';
import type { Figures } from '../figures.js';
import { SAVERS, SAVES_IN_FLIGHT } from '../plan.js';
import { type Save, saveSource } from '../saves.js';
import type { Run } from '../subject.js';
import type { WorkerHandle } from '../workers/handle.js';
import type { WorkerKind } from '../workers/protocol.js';
import { withWorker } from '../workers/with-worker.js';

/** A contender whose saves are acknowledged before a worker process commits them. */
export interface QueuedContender {
  readonly worker: WorkerKind;
  /** How many saves make a full queue. */
  readonly fill: number;
  save(save: Save): Promise<unknown>;
}

/** Measures saving while the worker commits, then how fast it drains a full queue. */
export async function measureQueued(run: Run, contender: QueuedContender): Promise<Figures> {
  const saving = await withWorker(contender.worker, (worker) => measureSaving(run, contender, worker));
  await run.place.clear();
  const draining = await withWorker(contender.worker, (worker) => measureDrain(run, contender, worker));
  return { ...saving, ...draining, workerRss: Math.max(saving.workerRss ?? 0, draining.workerRss ?? 0) };
}

async function measureSaving(
  { place, states, plan, signal }: Run,
  { save }: QueuedContender,
  worker: WorkerHandle,
): Promise<Figures> {
  await worker.start(place.address);
  const next = saveSource(states);
  let saved = 0;
  const sustain = async (savers: number, afterMs: number): Promise<{ rate: number; loop: LoopResult }> => {
    const loop = await closedLoop({ savers, ends: { afterMs }, next, save, signal });
    saved += loop.saves;
    const { commits } = await worker.handled(saved, signal);
    return { rate: (loop.saves / (commits.lastAt - loop.beganAt)) * 1000, loop };
  };
  await sustain(SAVES_IN_FLIGHT, plan.warmUpMs);
  const awaited = await sustain(SAVERS, plan.windowMs);
  const unawaited = await sustain(SAVES_IN_FLIGHT, plan.windowMs);
  await place.expectRows(place.address.schema, 'checkpoints', saved);
  return {
    awaited: awaited.rate,
    unawaited: unawaited.rate,
    p50Ms: awaited.loop.p50Ms,
    p99Ms: awaited.loop.p99Ms,
    workerRss: worker.progress.peakRss,
  };
}

async function measureDrain(
  { place, states, signal }: Run,
  { save, fill }: QueuedContender,
  worker: WorkerHandle,
): Promise<Figures> {
  const next = saveSource(states);
  await closedLoop({ savers: SAVES_IN_FLIGHT, ends: { afterSaves: fill }, next, save, signal });
  await worker.start(place.address);
  const { commits, peakRss } = await worker.handled(fill, signal);
  await place.expectRows(place.address.schema, 'checkpoints', fill);
  return { drain: rateAfterFirst(commits), workerRss: peakRss };
}
