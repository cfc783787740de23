import { setTimeout as delay } from 'node:timers/promises';
import type { DeadLetterJob, DeadLetterRecord } from '../redis/dead-letter-job.js';
import { timerMs } from '../redis/deadline.js';
import { Lanes } from './lanes.js';
import type { ReplayEnd } from './replayer.js';

export interface ReplayManyOptions {
  /** Undefined for what was asked for and is not there. */
  letters: AsyncIterable<DeadLetterRecord | undefined>;
  replayOne: (job: DeadLetterJob) => Promise<ReplayEnd>;
  ratePerSecond?: number | undefined;
  stopped: () => boolean;
  signal?: AbortSignal | undefined;
  onEnd: (counts: { replayed: number; skipped: number }) => void;
}

/** Replays under way at once: they wait for Redis more than they compute. */
const MAX_IN_FLIGHT = 16;

/**
 * Replays one dead letter after the other, some at a time.
 * @returns what is in the queue again, also when it was stopped
 * @throws the first error, when none is under way any more
 */
export async function replayMany(
  options: ReplayManyOptions,
): Promise<{ replayed: DeadLetterJob[]; skipped: number }> {
  const { letters, replayOne, stopped, onEnd } = options;
  const replayed: DeadLetterJob[] = [];
  const lanes = new Lanes(MAX_IN_FLIGHT);
  const pace = new Pace(options.ratePerSecond, options.signal);
  let skipped = 0;
  const run = async (job: DeadLetterJob) => {
    const end = await replayOne(job);
    if (end === 'stopped') return;
    if (end === 'replayed') replayed.push(job);
    else skipped++;
    onEnd({ replayed: replayed.length, skipped });
  };
  try {
    for await (const letter of letters) {
      await pace.next();
      if (lanes.failed || stopped()) break;
      if (letter) await lanes.begin(() => run(letter.job));
      else onEnd({ replayed: replayed.length, skipped: ++skipped });
    }
  } finally {
    await lanes.settled();
  }
  lanes.assertNoneFailed();
  return { replayed, skipped };
}

/** Lets through so many a second. */
class Pace {
  #nextAt = performance.now();

  constructor(
    private readonly ratePerSecond: number | undefined,
    private readonly signal: AbortSignal | undefined,
  ) {}

  async next(): Promise<void> {
    if (this.ratePerSecond === undefined) return;
    const begin = Math.max(this.#nextAt, performance.now());
    // After a pause it does not make up for what it has missed.
    this.#nextAt = begin + 1000 / this.ratePerSecond;
    const options = this.signal && { signal: this.signal };
    while (performance.now() < begin && !this.signal?.aborted) {
      await delay(timerMs(begin - performance.now()), undefined, options).catch(() => {});
    }
  }
}
