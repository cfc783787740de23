import { setTimeout as delay } from 'node:timers/promises';
import type { DeadLetterJob } from '../redis/dead-letter-job.js';
import { timerMs } from '../redis/deadline.js';
import { Lanes } from './lanes.js';
import type { ReplayEnd } from './replayer.js';
import type { SelectedLetter } from './selected-letters.js';

export interface ReplayManyOptions {
  letters: AsyncIterable<SelectedLetter>;
  replayOne: (job: DeadLetterJob) => Promise<ReplayEnd>;
  ratePerSecond?: number | undefined;
  stopped: () => boolean;
  signal?: AbortSignal | undefined;
  onEnd: (counts: { replayed: number; skipped: number }) => void;
  onSkip: (letter: SelectedLetter) => void;
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
  const { letters, replayOne, stopped, onEnd, onSkip } = options;
  const replayed: DeadLetterJob[] = [];
  const lanes = new Lanes(MAX_IN_FLIGHT);
  const pace = new Pace(options.ratePerSecond, options.signal);
  let skipped = 0;
  const run = async (selected: SelectedLetter) => {
    const job = selected.letter?.job;
    const end = job ? await replayOne(job) : 'skipped';
    if (end === 'stopped') return;
    if (job && end === 'replayed') replayed.push(job);
    else {
      skipped++;
      onSkip(selected);
    }
    onEnd({ replayed: replayed.length, skipped });
  };
  try {
    for await (const letter of letters) {
      await pace.next();
      if (lanes.failed || stopped()) break;
      await lanes.begin(() => run(letter));
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
