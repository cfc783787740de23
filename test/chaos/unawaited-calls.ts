import { randomUUID } from 'node:crypto';
import type { FaultOracle, WholeCheckpoint } from '../faults/oracle.js';
import type { Producer } from './agents.js';
import type { Chance } from './chance.js';
import type { Fault } from './fault.js';
import type { Line } from './line.js';

const ROUNDS = { min: 3, max: 10 };
/** Requests of a round: the connection is lost anywhere in them. */
const MOST_BYTES = 8000;
const STATE_BYTES = 300;
/** Above `maxQueuedBytes` of the producers. */
const OVERSIZE_BYTES = 25_000;

/** A producer, and its connections. */
export interface FragileProducer {
  readonly producer: Producer;
  readonly line: Line;
}

/**
 * Calls saves and a clear or a delete of one producer without awaiting any, while its connection to Redis is lost in between. A save that
 * was called before never shows after it: the oracle is told that they were called through one store, so that it counts their order.
 */
export function unawaitedCalls(
  fragile: readonly FragileProducer[],
  oracle: FaultOracle,
  chance: Chance,
  onError: (call: string, error: unknown) => void,
): () => Fault {
  return () => {
    const { producer, line } = chance.oneOf(fragile);
    const { store } = producer;
    const rounds = chance.whole(ROUNDS.min, ROUNDS.max);
    const round = async () => {
      const executionId = `unawaited-${randomUUID()}`;
      const save = (number: number) =>
        oracle.save(
          { save: async (checkpoint) => ({ ...(await store.save(checkpoint)), committed }) },
          checkpointOf(executionId, number, chance),
          store.name,
        );
      const clears = chance.percent(50);
      const saves = chance.whole(1, 5);
      void line.redis.cutAfter(chance.whole(0, MOST_BYTES), chance.oneOf(['toServer', 'toClient'] as const));
      const calls = [
        ...Array.from({ length: saves }, (_, number) => save(number)),
        clears
          ? oracle.clear(store, executionId, store.name)
          : oracle.delete(store, idOf(executionId, 0), store.name),
        ...(chance.percent(50) ? [save(0)] : []),
      ];
      for (const call of await Promise.allSettled(calls)) {
        if (call.status === 'rejected') onError('call, unawaited', call.reason);
      }
    };
    return {
      kind: 'network-cut-between-calls',
      detail: `${store.name} to redis, ${rounds} times`,
      run: async (signal) => {
        try {
          for (let left = rounds; left > 0 && !signal.aborted; left--) await round();
        } finally {
          await line.redis.open(); // takes back a cut that was not reached
        }
      },
    };
  };
}

const idOf = (executionId: string, number: number): string => `${executionId}/${number}`;

function checkpointOf(executionId: string, number: number, chance: Chance): WholeCheckpoint {
  const bytes = chance.percent(15) ? OVERSIZE_BYTES : STATE_BYTES;
  return {
    id: idOf(executionId, number),
    executionId,
    nodeName: 'unawaited',
    state: { token: randomUUID(), filling: 'x'.repeat(bytes) },
    metadata: null,
    timestamp: new Date(1_700_000_000_000 + number),
    version: chance.whole(0, 9),
  };
}

const committed = () => Promise.reject(new Error('not here'));
