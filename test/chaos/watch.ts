import type { Arena } from './arena.js';
import { jobsLeft } from './drain.js';
import { type MemorySample, type MemoryTrend, memoryTrend, residentBytes } from './memory.js';

const SAMPLE_MS = 1000;

/** Samples the memory of processes that nobody kills, and the depth of the queue, until it is stopped. */
export class Watch {
  readonly #samples = new Map<string, MemorySample[]>();
  readonly #timer: NodeJS.Timeout;
  #deepest = 0;
  #sampling: Promise<void> | undefined;

  constructor(
    private readonly arena: Arena,
    private readonly pids: Readonly<Record<string, () => number | undefined>>,
    private readonly now: () => number,
  ) {
    this.#timer = setInterval(() => {
      this.#sampling ??= this.#sample().finally(() => {
        this.#sampling = undefined;
      });
    }, SAMPLE_MS);
  }

  get deepestQueue(): number {
    return this.#deepest;
  }

  get memory(): Record<string, MemoryTrend | undefined> {
    return Object.fromEntries([...this.#samples].map(([name, samples]) => [name, memoryTrend(samples)]));
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sampling;
  }

  async #sample(): Promise<void> {
    for (const [name, pidOf] of Object.entries(this.pids)) {
      const pid = pidOf();
      const bytes = pid === undefined ? undefined : await residentBytes(pid);
      if (bytes === undefined) continue;
      const samples = this.#samples.get(name) ?? [];
      samples.push({ at: this.now(), bytes });
      this.#samples.set(name, samples);
    }
    // While Redis is away nobody knows.
    const left = await jobsLeft(this.arena).catch(() => 0);
    this.#deepest = Math.max(this.#deepest, left);
  }
}
