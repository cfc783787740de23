import type { Chance } from './chance.js';
import { type Fault, lasting } from './fault.js';
import type { Recovery, RecoveryProbe } from './recovery.js';

/** A fault as it happened; milliseconds since the faults began. */
export interface FaultRecord extends Partial<Recovery> {
  readonly kind: string;
  readonly detail: string;
  readonly began: number;
  ended?: number;
  /** When what it broke was mended, or given up. */
  recovered?: number;
  /** It could not be made as it was meant. */
  error?: string;
}

/** Without a pause the next fault meets what the last one left; with one, a quiet system. */
const PAUSE_MS = { min: 0, max: 3000 };

export interface FaultStreamOptions {
  readonly chance: Chance;
  readonly drawers: readonly (() => Fault)[];
  readonly probe: RecoveryProbe;
  readonly log: FaultRecord[];
  readonly signal: AbortSignal;
  readonly now: () => number;
  readonly onFault: (record: FaultRecord) => void;
}

/** Makes one fault after the other, and waits in between until commits go on. Other streams make theirs at the same time. */
export async function runFaultStream(options: FaultStreamOptions): Promise<void> {
  const { chance, drawers, probe, log, signal, now, onFault } = options;
  while (!signal.aborted) {
    const pauseMs = chance.whole(PAUSE_MS.min, PAUSE_MS.max);
    const fault = chance.oneOf(drawers)();
    await lasting(pauseMs, signal);
    if (signal.aborted) return;
    const record: FaultRecord = { kind: fault.kind, detail: fault.detail, began: now() };
    log.push(record);
    onFault(record);
    try {
      await fault.run(signal);
    } catch (error) {
      record.error = error instanceof Error ? error.message : String(error);
    }
    record.ended = now();
    Object.assign(record, await probe.measure());
    record.recovered = now();
  }
}
