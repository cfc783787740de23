import { closedLoop } from '../closed-loop.js';
import type { Figures } from '../figures.js';
import { SAVERS } from '../plan.js';
import { type Save, saveSource } from '../saves.js';
import type { Run } from '../subject.js';

/** Measures a contender whose saves are committed when they are acknowledged. */
export async function measureDirect(
  { states, plan, signal }: Run,
  save: (save: Save) => Promise<unknown>,
  expectSaved: (saves: number) => Promise<void>,
): Promise<Figures> {
  const loop = { savers: SAVERS, next: saveSource(states), save, signal };
  const warmUp = await closedLoop({ ...loop, ends: { afterMs: plan.warmUpMs } });
  const { saves, beganAt, endedAt, p50Ms, p99Ms } = await closedLoop({
    ...loop,
    ends: { afterMs: plan.windowMs },
  });
  await expectSaved(warmUp.saves + saves);
  return { awaited: (saves / (endedAt - beganAt)) * 1000, p50Ms, p99Ms };
}
