import type { WriterStats } from '../../writer/checkpoint-writer.js';
import { WorkerProcess } from './worker-process.js';

export interface WorkerFleetOptions {
  workers: number;
  /** Environment of the workers: services, queue and table. */
  env: NodeJS.ProcessEnv;
  /** Told what the workers log, and which of them die. */
  note(line: string): void;
}

/** The worker replicas of the demo. The death of one is told, and the others go on. */
export class WorkerFleet {
  readonly #workers: readonly WorkerProcess[];
  #running: number;

  constructor({ workers, env, note }: WorkerFleetOptions) {
    this.#running = workers;
    this.#workers = Array.from(
      { length: workers },
      (_, index) =>
        new WorkerProcess({
          number: index + 1,
          env,
          onLine: (line) => note(`worker ${index + 1}: ${line}`),
          onDeath: (how) => {
            this.#running--;
            note(`worker ${index + 1} ${how}; ${this.#running} of ${workers} go on`);
          },
        }),
    );
  }

  get pids(): number[] {
    return this.#workers.flatMap(({ pid }) => pid ?? []);
  }

  /** Resolves when all of them take jobs. @throws CommandError if one ends before that */
  async ready(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.ready()));
  }

  /** Resolves when none is left. */
  async ended(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.ended));
  }

  requestStats(): void {
    for (const worker of this.#workers) worker.requestStats();
  }

  /** What they have written together, when they last said so. Final after `stop`. */
  get stats(): Pick<WriterStats, 'batches' | 'records'> {
    const sum = (name: 'batches' | 'records') =>
      this.#workers.reduce((total, { stats }) => total + stats[name], 0);
    return { batches: sum('batches'), records: sum('records') };
  }

  /** Lets them commit what they have in hand. Idempotent. */
  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
  }
}
