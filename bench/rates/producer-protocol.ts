import type { MethodName, RatesAddress } from './methods.js';
import type { PacedResult } from './paced-saves.js';

/** What one producer process does: `producer` of `producers` that keep the rate together. */
export interface ProducerOrder {
  readonly method: MethodName;
  readonly address: RatesAddress;
  readonly stateBytes: number;
  readonly perSecond: number;
  readonly producers: number;
  readonly producer: number;
  readonly maxInFlight: number;
}

/** To a producer process; `run` may come several times, and its latencies may be asked for after each. */
export type ToProducer =
  | { type: 'run'; startAt: number; windowMs: number }
  | { type: 'latencies' }
  | { type: 'stop' };

export type RunSummary = Omit<PacedResult, 'latencies'> & { readonly acknowledged: number };

/** The latencies come on request, after the CPU was read: packing them is no part of a save. */
export type FromProducer =
  | { type: 'ready' }
  | { type: 'finished'; summary: RunSummary }
  | { type: 'latencies'; latencies: number[] };
