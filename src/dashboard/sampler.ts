import type { QueueStats } from '../redis/queue-stats.js';
import type { WorkerReport } from '../redis/worker-registry.js';

/** The queue at one moment, in figures. */
export interface Sample {
  /** ISO 8601. */
  readonly at: string;
  /** Jobs by state; each holds one chunk. */
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  readonly failed: number;
  readonly deadLetters: number;
  /** Age of the oldest save that is not committed, in milliseconds; 0 if nothing waits. */
  readonly oldestAgeMs: number;
  /** Records since the queue was made. */
  readonly committed: number;
  readonly superseded: number;
  readonly deleted: number;
  /** Since the sample before; null where there is none, or the counters were reset. */
  readonly committedPerSecond: number | null;
  readonly workers: number;
}

/** What the sampler knows. */
export interface Sampled {
  readonly redis: 'up' | 'down';
  /** Null while Redis is down. */
  readonly now: Sample | null;
  /** Oldest first. */
  readonly samples: readonly Sample[];
  /** None while Redis is down. */
  readonly workers: readonly WorkerReport[];
}

export interface SamplerOptions {
  /** Between two looks. Default 2 s. */
  readonly intervalMs?: number;
  /** How long a sample is kept, and how long it goes on when nobody asks any more. Default 15 minutes. */
  readonly keepMs?: number;
}

/** Looks at the queue again and again from the first question on, and stops when nobody has asked for as long as it keeps samples. */
export class Sampler {
  readonly #intervalMs: number;
  readonly #keepMs: number;
  #samples: Sample[] = [];
  #workers: readonly WorkerReport[] = [];
  #redis: 'up' | 'down' = 'down';
  #wantedUntil = 0;
  #closed = false;
  /** Ends the pause between two looks. */
  #wake = () => {};
  #running: { readonly firstLook: Promise<void>; readonly end: Promise<void> } | undefined;

  /** @param read must end by itself within a few seconds; rejects while Redis is down */
  constructor(
    private readonly read: () => Promise<QueueStats>,
    { intervalMs = 2000, keepMs = 15 * 60_000 }: SamplerOptions = {},
  ) {
    this.#intervalMs = intervalMs;
    this.#keepMs = keepMs;
  }

  /** Waits for a look only where none is under way: at first, and after a pause. */
  async seen(): Promise<Sampled> {
    this.#wantedUntil = performance.now() + this.#keepMs;
    this.#running ??= this.#start();
    await this.#running.firstLook;
    const up = this.#redis === 'up';
    return {
      redis: this.#redis,
      now: up ? (this.#samples.at(-1) ?? null) : null,
      samples: this.#samples,
      workers: up ? this.#workers : [],
    };
  }

  /** Waits for a look that is under way. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    await this.#running?.end;
  }

  #start(): { firstLook: Promise<void>; end: Promise<void> } {
    const firstLook = this.#look();
    return { firstLook, end: firstLook.then(() => this.#goOn()) };
  }

  async #goOn(): Promise<void> {
    while (!this.#closed && performance.now() < this.#wantedUntil) {
      await this.#pause();
      if (!this.#closed) await this.#look();
    }
    this.#running = undefined;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#intervalMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #look(): Promise<void> {
    try {
      this.#add(await this.read());
      this.#redis = 'up';
    } catch {
      this.#redis = 'down'; // which is all that is told
    }
    const oldest = new Date(Date.now() - this.#keepMs).toISOString();
    this.#samples = this.#samples.filter(({ at }) => at >= oldest);
  }

  #add(stats: QueueStats): void {
    const { waiting, active, delayed, failed, deadLetters, oldestAgeMs = 0, counters, workers } = stats;
    const { committed, superseded, deleted } = counters;
    const at = new Date();
    const committedPerSecond = rateBetween(this.#samples.at(-1), { at, committed });
    this.#workers = workers;
    this.#samples.push({
      ...{ at: at.toISOString(), waiting, active, delayed, failed, deadLetters, oldestAgeMs },
      ...{ committed, superseded, deleted, committedPerSecond, workers: workers.length },
    });
  }
}

function rateBetween(before: Sample | undefined, now: { at: Date; committed: number }): number | null {
  if (!before || now.committed < before.committed) return null;
  const seconds = (now.at.getTime() - Date.parse(before.at)) / 1000;
  return seconds > 0 ? Math.round((now.committed - before.committed) / seconds) : null;
}
