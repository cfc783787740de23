import { type DrainProblem, drainProblemText } from '../drain-problem.js';
import type { DrainState } from '../redis/drain-state.js';

/** How long acknowledged saves may wait before it looks suspicious that nothing commits them. A commit takes milliseconds. */
const PATIENCE_MS = 5000;

/**
 * Warns once if acknowledged saves have waited for 5 s and nothing drains the queue. It asks Redis once in 5 s, and only while something
 * waits. Its timer keeps no process alive.
 */
export class DrainWatch {
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #ended = false;

  constructor(
    private readonly read: () => Promise<DrainState>,
    private readonly warn: (problem: DrainProblem, message: string) => void,
  ) {}

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
      const { problem, oldestAgeMs } = await this.read();
      waits = oldestAgeMs !== undefined;
      if (problem && oldestAgeMs !== undefined && oldestAgeMs >= PATIENCE_MS && !this.#ended) {
        this.#ended = true;
        this.warn(problem, `saves wait in the queue and are not committed: ${drainProblemText(problem)}`);
      }
    } catch {
      // Redis is away: the next look tells.
    }
    this.#looking = undefined;
    if (waits) this.touch();
  }
}
