import { type Latencies, latenciesOf } from './latencies.js';

export interface LoopOptions<Save> {
  /** How many save at the same time, each one after the other. */
  readonly savers: number;
  /** When to stop: after this time, after this many saves, or when something else is over, however it ended. */
  readonly ends: { afterMs: number } | { afterSaves: number } | { with: Promise<unknown> };
  /** What the saver of this number, from 0, saves next. */
  readonly next: (saver: number) => Save;
  /** Resolves when the save is acknowledged. */
  readonly save: (save: Save) => Promise<unknown>;
  readonly signal: AbortSignal;
}

export interface LoopResult extends Latencies {
  readonly saves: number;
  /** Milliseconds of `Date.now()`, which other processes on this machine share. */
  readonly beganAt: number;
  readonly endedAt: number;
}

/** Savers that begin their next save when the last one is acknowledged. Throws what a save throws, after all others ended. */
export async function closedLoop<Save>({
  savers,
  ends,
  next,
  save,
  signal,
}: LoopOptions<Save>): Promise<LoopResult> {
  const latencies: number[] = [];
  const beganAt = Date.now();
  const endsAt = 'afterMs' in ends ? performance.now() + ends.afterMs : Number.POSITIVE_INFINITY;
  const most = 'afterSaves' in ends ? ends.afterSaves : Number.POSITIVE_INFINITY;
  let begun = 0;
  let over = false;
  const end = () => {
    over = true;
  };
  if ('with' in ends) ends.with.then(end, end);
  const saver = async (number: number) => {
    try {
      for (let began = performance.now(); began < endsAt && begun < most && !over; ) {
        signal.throwIfAborted();
        begun++;
        await save(next(number));
        const now = performance.now();
        latencies.push(now - began);
        began = now;
      }
    } catch (error) {
      over = true;
      throw error;
    }
  };
  const settled = await Promise.allSettled(Array.from({ length: savers }, (_, number) => saver(number)));
  for (const result of settled) if (result.status === 'rejected') throw result.reason;
  return { saves: begun, beganAt, endedAt: Date.now(), ...latenciesOf(latencies) };
}
