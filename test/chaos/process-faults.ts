import type { FailpointName } from '../faults/failpoint.js';
import type { Chance } from './chance.js';
import { type Fault, lasting } from './fault.js';
import type { RemoteStore } from './remote-store.js';
import { LOCK_DURATION_MS, type WorkerSlot } from './worker-slot.js';

const FAILPOINTS: readonly FailpointName[] = [
  'before_copy',
  'mid_copy',
  'after_copy',
  'after_commit',
  'before_ack',
  'after_dead_add',
];
/** A worker that does not get to its failpoint in time is killed: its place may be needed. */
const FAILPOINT_PATIENCE_MS = 15_000;

/** All faults of worker and producer processes, with what a seed draws for them. */
export function processFaults(
  workers: readonly WorkerSlot[],
  producer: RemoteStore,
  chance: Chance,
): (() => Fault)[] {
  return [
    () => {
      const struck = chance.some(workers, chance.oneOf([1, 1, 1, 2, workers.length]));
      const respawnMs = chance.whole(0, 3000);
      return {
        kind: 'worker-kill',
        detail: `kill -9 of ${namesOf(struck)}, started again after ${respawnMs} ms`,
        run: async () => {
          for (const worker of struck) worker.kill(respawnMs);
        },
      };
    },
    () => {
      const struck = chance.some(workers, chance.whole(1, 2));
      const ms = chance.whole(LOCK_DURATION_MS, 3 * LOCK_DURATION_MS) + 500;
      return {
        kind: 'worker-suspended',
        detail: `SIGSTOP of ${namesOf(struck)}, for ${ms} ms`,
        run: async (signal) => {
          for (const worker of struck) worker.suspend();
          await lasting(ms, signal);
          for (const worker of struck) worker.resume();
        },
      };
    },
    () => {
      const struck = chance.some(workers, chance.whole(1, 2));
      return {
        kind: 'worker-terminated',
        detail: `SIGTERM of ${namesOf(struck)}`,
        run: async () => {
          await Promise.all(struck.map((worker) => worker.terminate()));
        },
      };
    },
    // Twice, for there are many places to die at.
    ...[1, 2].map(() => () => {
      const worker = chance.oneOf(workers);
      const at = chance.oneOf(FAILPOINTS);
      return {
        kind: `worker-dies-${at}`,
        detail: worker.name,
        run: async (signal: AbortSignal) => {
          await worker.dieAt(at, FAILPOINT_PATIENCE_MS, signal);
        },
      };
    }),
    () => ({
      kind: 'producer-kill',
      detail: `kill -9 of ${producer.name}`,
      run: async () => producer.kill(),
    }),
  ];
}

function namesOf(workers: readonly WorkerSlot[]): string {
  return workers.map(({ name }) => name).join(', ');
}
