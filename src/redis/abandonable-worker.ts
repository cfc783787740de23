import { setTimeout as delay } from 'node:timers/promises';
import { type Job, type Processor, Worker, type WorkerOptions } from 'bullmq';
import type { RedisAccessError } from '../errors.js';
import { accessErrorOf } from './access.js';

/** Before a job is asked for again that Redis refused to give: BullMQ itself asks again at once. */
const BACK_OFF_MS = { first: 100, max: 5000 };
/** A refusal that was not seen again for so long is over. */
const REFUSED_MS = 2 * BACK_OFF_MS.max;

/**
 * A BullMQ worker that can be let go of while its `close` waits for a Redis that is away, and that asks ever less often while Redis
 * refuses to give it jobs, because its user lacks a right or there is no memory left, say.
 */
export class AbandonableWorker<Data, Result> extends Worker<Data, Result> {
  readonly #stopped = new AbortController();
  #backOffMs = 0;
  #refusal: { readonly error: RedisAccessError; readonly at: number } | undefined;

  constructor(name: string, processor: Processor<Data, Result>, options: WorkerOptions) {
    super(name, processor, options);
    // Of what BullMQ does beside taking jobs, and of the processor.
    const seen = (error: unknown) => {
      if (accessErrorOf(error)) this.#backOff(error);
    };
    this.on('error', seen);
    this.on('failed', (_job, error) => seen(error));
    this.on('completed', () => {
      this.#backOffMs = 0;
      this.#refusal = undefined;
    });
  }

  /** What its Redis user may not do, as seen lately. */
  get refusal(): RedisAccessError | undefined {
    const { error, at } = this.#refusal ?? {};
    return at !== undefined && performance.now() - at < REFUSED_MS ? error : undefined;
  }

  /** Ends the renewal of locks and the connections, which would keep the process alive. */
  abandon(): void {
    this.#stopped.abort();
    void this.lockManager.close();
    this.disconnect().catch(() => {});
  }

  override close(force?: boolean): Promise<void> {
    this.#stopped.abort();
    return super.close(force);
  }

  protected override async moveToActive(token: string, name?: string): Promise<Job<Data, Result, string>> {
    if (this.#backOffMs > 0) {
      const { signal } = this.#stopped;
      await delay(this.#backOffMs, undefined, { signal }).catch(() => {});
      // No job, as BullMQ says it, though not in its types.
      if (signal.aborted || this.isPaused()) return undefined as unknown as Job<Data, Result, string>;
    }
    try {
      const job = await super.moveToActive(token, name);
      if (!this.refusal) this.#backOffMs = 0;
      return job;
    } catch (error) {
      this.#backOff(error);
      throw error;
    }
  }

  #backOff(cause: unknown): void {
    this.#backOffMs = Math.min(Math.max(2 * this.#backOffMs, BACK_OFF_MS.first), BACK_OFF_MS.max);
    const error = accessErrorOf(cause);
    if (error) this.#refusal = { error, at: performance.now() };
  }
}
