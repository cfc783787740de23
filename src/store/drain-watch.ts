import { parseJobId } from '../chunk.js';
import { type DrainProblem, drainProblemText } from '../drain-problem.js';
import type { DrainState } from '../redis/drain-state.js';

export interface DrainWatchOptions {
  /** The jobs of this store that may not be done: what it was acknowledged, and what is waited for. */
  jobIds: () => readonly string[];
  /** How jobs have ended, of those that have. */
  ended: (jobIds: string[]) => Promise<ReadonlyMap<string, unknown>>;
  state: () => Promise<DrainState>;
  warn: (problem: DrainProblem, message: string) => void;
}

/** How long acknowledged saves may wait before it looks suspicious that nothing commits them. A commit takes milliseconds. */
const PATIENCE_MS = 5000;
/** Jobs that are looked at: the newest of those that have waited so long. If nothing drains the queue, none of them has ended. */
const JOBS_A_LOOK = 100;

/**
 * Warns once if acknowledged saves have waited for 5 s and nothing drains the queue. It asks Redis once in 5 s, and only while something
 * may wait. Its timer keeps no process alive.
 */
export class DrainWatch {
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #ended = false;

  constructor(private readonly options: DrainWatchOptions) {}

  /** Something was acknowledged, or is waited for. */
  touch(): void {
    if (this.#ended || this.#timer || this.#looking) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#looking = this.#look();
    }, PATIENCE_MS).unref();
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  async #look(): Promise<void> {
    let waits = true; // also where Redis does not answer
    try {
      waits = await this.#warnIfStuck();
    } catch {
      // Redis is away: the next look tells.
    }
    this.#looking = undefined;
    if (waits) this.touch();
  }

  /** @returns whether anything still waits, or may */
  async #warnIfStuck(): Promise<boolean> {
    const { problem, nowUs } = await this.options.state();
    const jobIds = this.options.jobIds();
    const old = jobIds.filter((jobId) => parseJobId(jobId).firstSequence <= nowUs - PATIENCE_MS * 1000);
    const looked = old.slice(-JOBS_A_LOOK);
    const ended = looked.length > 0 ? await this.options.ended(looked) : new Map();
    const stuck = looked.some((jobId) => !ended.has(jobId));
    if (stuck && problem && !this.#ended) {
      this.#ended = true;
      const text = drainProblemText(problem);
      this.options.warn(problem, `saves wait in the queue and are not committed: ${text}`);
    }
    return stuck || old.length < jobIds.length;
  }
}
