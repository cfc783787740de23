import { rm } from 'node:fs/promises';
import { onTestFinished } from 'vitest';
import { type Failpoint, type FailpointPlan, newFailpointPlan } from './failpoint.js';

export { actedAt, type FailpointName } from './failpoint.js';

/** Goes with the test. */
export async function planFailpoints(...points: Failpoint[]): Promise<FailpointPlan> {
  const plan = await newFailpointPlan(...points);
  onTestFinished(() => rm(plan.folder, { recursive: true }));
  return plan;
}
