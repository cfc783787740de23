import { OPERATOR_ACT_NAMES, OPERATOR_ACTS } from '../faults/operator-acts.js';
import type { Arena } from './arena.js';
import type { Chance } from './chance.js';
import { type Fault, lasting, persistently } from './fault.js';

const PAUSE_MS = 100;

/** What operators do to the jobs of the queue by BullMQ's own means. The payloads of acknowledged saves stay. */
export function operatorFaults({ queue }: Arena, chance: Chance): (() => Fault)[] {
  return [
    () => {
      const act = chance.oneOf(OPERATOR_ACT_NAMES);
      const times = chance.whole(1, 20);
      return {
        kind: `operator-${act.replaceAll(' ', '-')}`,
        detail: `${times} times`,
        run: async (signal) => {
          try {
            for (let time = 0; time < times && !signal.aborted; time++) {
              // A job that a worker holds may not be removed, and Redis may be away: what is left is left.
              await OPERATOR_ACTS[act](queue).catch(() => {});
              await lasting(PAUSE_MS, signal);
            }
          } finally {
            // Obliterating begins with a pause, which stays if Redis goes away in the middle.
            await persistently(() => queue.resume());
          }
        },
      };
    },
  ];
}
