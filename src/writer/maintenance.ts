import type { Logger } from '../logger.js';

/** Work that is done now and then, by every replica. */
export interface Chore {
  /** Milliseconds from the end of one run to the beginning of the next. */
  readonly intervalMs: number;
  run(): Promise<unknown>;
}

/** Runs chores one after the other, each at its interval. What fails is told, and tried again at the next one. */
export class Maintenance {
  readonly #timers = new Map<Chore, NodeJS.Timeout>();
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(
    private readonly chores: readonly Chore[],
    private readonly onError: (error: unknown) => void,
  ) {}

  start(): void {
    for (const chore of this.chores) this.#schedule(chore);
  }

  /** Begins no more; resolves when nothing of it is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await this.#running;
  }

  #schedule(chore: Chore): void {
    if (this.#stopped) return;
    const timer = setTimeout(() => {
      this.#running = this.#running.then(() => this.#run(chore));
    }, chore.intervalMs);
    this.#timers.set(chore, timer);
  }

  async #run(chore: Chore): Promise<void> {
    if (this.#stopped) return;
    try {
      await chore.run();
    } catch (error) {
      this.onError(error);
    }
    this.#schedule(chore);
  }
}

/** Names the error only: what it says may hold a value. */
export function maintenanceErrorLog(logger: Logger): (error: unknown) => void {
  return (error) => {
    const { name, code } = error as { name?: string; code?: string };
    logger.warn({ error: code ?? name }, 'maintenance failed; tried again later');
  };
}
