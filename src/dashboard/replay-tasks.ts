import { randomUUID } from 'node:crypto';
import type { DeadLetterSelection } from '../dead-letters/dead-letter-filter.js';
import type { DeadLetters } from '../dead-letters/dead-letters.js';
import type { ReplayResult } from '../dead-letters/replay-options.js';
import type { Logger } from '../logger.js';
import { answerOf, type ErrorAnswer, RequestError } from './answers.js';

/** How far a replay is. */
export interface TaskProgress {
  readonly done: number;
  /** About; 0 before they are counted. */
  readonly total: number;
  readonly finished: boolean;
  /** When it is finished, also where it was cancelled. */
  readonly result?: ReplayResult;
  /** When it failed; what was replayed until then is in the queue. */
  readonly error?: ErrorAnswer['error'];
}

interface Task {
  readonly cancelling: AbortController;
  progress: TaskProgress;
}

/** For what became of the replayed, after the last one is in the queue. */
export const REPLAY_WAIT_MS = 10_000;
const MAX_RUNNING = 4;
/** Finished ones that can still be asked for. */
const MAX_KEPT = 100;

/** Replays that go on by themselves, for as long as the process runs: to be asked for, and cancelled. */
export class ReplayTasks {
  readonly #tasks = new Map<string, Task>();
  readonly #running = new Set<Promise<void>>();

  constructor(
    private readonly letters: Pick<DeadLetters, 'replay'>,
    private readonly logger: Logger,
  ) {}

  /** @returns the id of the task. @throws RequestError while too many are under way */
  start(selection: DeadLetterSelection): string {
    if (this.#running.size >= MAX_RUNNING) {
      throw new RequestError(429, 'TOO_MANY_TASKS', `${MAX_RUNNING} replays are under way: wait for one`);
    }
    const id = randomUUID();
    const task = {
      cancelling: new AbortController(),
      progress: { done: 0, total: 0, finished: false },
    };
    this.#tasks.set(id, task);
    this.#forgetOldest();
    const running = this.#run(task, selection).finally(() => this.#running.delete(running));
    this.#running.add(running);
    return id;
  }

  /** Undefined for a task that is not known, or not any more. */
  progress(id: string): TaskProgress | undefined {
    return this.#tasks.get(id)?.progress;
  }

  /** Stops it between two dead letters. @returns whether it is known */
  cancel(id: string): boolean {
    const task = this.#tasks.get(id);
    task?.cancelling.abort();
    return task !== undefined;
  }

  /** Stops all of them, and waits for the dead letters that they are at. */
  async close(): Promise<void> {
    for (const { cancelling } of this.#tasks.values()) cancelling.abort();
    await Promise.all(this.#running);
  }

  async #run(task: Task, selection: DeadLetterSelection): Promise<void> {
    try {
      const result = await this.letters.replay({
        ...selection,
        waitTimeoutMs: REPLAY_WAIT_MS,
        signal: task.cancelling.signal,
        onProgress: ({ done, total }) => {
          task.progress = { done, total: Math.max(done, total), finished: false };
        },
      });
      task.progress = { ...task.progress, finished: true, result };
      this.logger.info({ ...result }, 'dead letters replayed from the dashboard');
    } catch (error) {
      const { body } = answerOf(error);
      task.progress = { ...task.progress, finished: true, error: body.error };
      this.logger.warn({ error: body.error.code }, 'a replay from the dashboard failed');
    }
  }

  #forgetOldest(): void {
    for (const [id, { progress }] of this.#tasks) {
      if (this.#tasks.size <= MAX_KEPT) return;
      if (progress.finished) this.#tasks.delete(id);
    }
  }
}
