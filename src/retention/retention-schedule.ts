import { type Job, Queue } from 'bullmq';
import { MisroutedChunkError } from '../errors.js';
import type { Logger } from '../logger.js';
import { AbandonableWorker } from '../redis/abandonable-worker.js';
import { redisErrorText, throttledErrorLog } from '../redis/connection.js';
import { retentionQueue } from '../redis/queue-keys.js';
import { checkLimits, type RetentionLimits, type RetentionSettings } from './retention-options.js';
import { type RetentionPlace, type RetentionResult, runRetention } from './retention-run.js';

/** What the job of a run carries: as the replica wants it that was started last. */
interface RetentionJob {
  readonly target: string;
  readonly limits: RetentionLimits;
}

const SCHEDULER = 'retention';
const LOOK_INTERVAL_MS = 60_000;

export interface RetentionScheduleOptions {
  readonly place: RetentionPlace;
  /** `false`: take back what was scheduled before. */
  readonly settings: RetentionSettings | false;
  readonly lockDurationMs: number;
  readonly logger: Logger;
  readonly onRun: (result: RetentionResult) => void;
}

/**
 * The retention of a queue as a BullMQ job scheduler, in a queue of its own beside it. Any number of replicas make one schedule,
 * and one of them at a time does a run. A run that fails is told in the log, and the next one comes at its time.
 */
export class RetentionSchedule {
  /** Puts the schedule back where Redis has lost it. */
  readonly chore = { intervalMs: LOOK_INTERVAL_MS, run: () => this.#ensure() };
  readonly #options: RetentionScheduleOptions;
  readonly #stop = new AbortController();
  readonly #onError: (error: unknown) => void;
  #queue: Queue<RetentionJob> | undefined;
  #worker: AbandonableWorker<RetentionJob, void> | undefined;

  constructor(options: RetentionScheduleOptions) {
    this.#options = options;
    this.#onError = throttledErrorLog(options.logger, 'retention queue error');
  }

  /** Does not wait for Redis. */
  start(): void {
    const { place, settings, lockDurationMs } = this.#options;
    const { name, prefix } = retentionQueue(place.keys);
    if (settings) {
      const { client: connection } = place;
      this.#worker = new AbandonableWorker(name, (job) => this.#run(job), {
        connection,
        prefix,
        lockDuration: lockDurationMs,
      });
      this.#worker.on('error', this.#onError);
      this.#worker.on('failed', (_job, error) => this.#failed(error));
    }
    (settings ? this.#upsert(settings) : this.#takeBack()).catch(this.#onError);
  }

  /** Stops a run between two batches; the rest is left to the next one. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all([this.#worker?.close(), this.#queue?.close()]);
  }

  /** Lets go while `close` waits for a Redis that is away. */
  abandon(): void {
    this.#worker?.abandon();
  }

  async #upsert({ limits, schedule }: RetentionSettings): Promise<void> {
    const { names } = this.#options.place;
    const data = { target: names.label, limits };
    const opts = { removeOnComplete: true, removeOnFail: true };
    await this.#opened.setGlobalConcurrency(1);
    await this.#opened.upsertJobScheduler(SCHEDULER, schedule, { name: SCHEDULER, data, opts });
  }

  async #ensure(): Promise<void> {
    const { settings } = this.#options;
    if (settings && !(await this.#isScheduled())) await this.#upsert(settings);
  }

  async #takeBack(): Promise<void> {
    if (!(await this.#isScheduled())) return;
    await this.#opened.removeJobScheduler(SCHEDULER);
    this.#options.logger.info({}, 'retention is not set any more: its schedule is removed');
  }

  /** Asked of Redis itself: a BullMQ queue would leave its keys there only by being opened. */
  async #isScheduled(): Promise<boolean> {
    const { client, keys } = this.#options.place;
    return (await client.zscore(retentionQueue(keys).schedulers, SCHEDULER)) !== null;
  }

  get #opened(): Queue<RetentionJob> {
    if (!this.#queue) {
      const { client: connection, keys } = this.#options.place;
      const { name, prefix } = retentionQueue(keys);
      this.#queue = new Queue<RetentionJob>(name, { prefix, connection, skipVersionCheck: true });
      this.#queue.on('error', this.#onError);
    }
    return this.#queue;
  }

  async #run({ data: { target, limits } }: Job<RetentionJob>): Promise<void> {
    const { place, logger, onRun } = this.#options;
    const { label } = place.names;
    if (target !== label) throw new MisroutedChunkError(`retention of another table than ${label}`);
    checkLimits(limits);
    const result = await runRetention(place, limits, this.#stop.signal);
    logger.info({ ...result }, 'retention has run');
    onRun(result);
  }

  #failed(error: unknown): void {
    const { code, sqlState } = error as { code?: string; sqlState?: string };
    const reason = code === undefined ? redisErrorText(error) : code;
    this.#options.logger.error({ reason, sqlState }, 'retention failed; tried again at its next time');
  }
}
