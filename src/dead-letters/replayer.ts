import { setTimeout as delay } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { type ChunkJob, deadLetterIdOf } from '../chunk.js';
import { BackpressureError } from '../errors.js';
import type { Logger } from '../logger.js';
import { type RedisConnection, throttledErrorLog } from '../redis/connection.js';
import type { DeadLetterJob } from '../redis/dead-letter-job.js';
import {
  type Confirmed,
  confirmReplay,
  newReplay,
  prepareReplay,
  type Replay,
} from '../redis/dead-letter-scripts.js';
import { withDeadline } from '../redis/deadline.js';
import { jobOptions } from '../redis/job-options.js';
import type { QueueKeys } from '../redis/queue-keys.js';
import { retryUntil } from '../redis/retry.js';

/**
 * - `replayed`: the record is in the queue again, and the dead letter is gone.
 * - `skipped`: there was nothing to replay: the dead letter, or its payload, is gone.
 * - `busy`: a job has the record already, as it was before the edit.
 * - `stopped`: told to stop before it began.
 */
export type ReplayEnd = 'replayed' | 'skipped' | 'busy' | 'stopped';

export interface ReplayerOptions {
  connection: RedisConnection;
  keys: QueueKeys;
  logger: Logger;
  /** Jobs that may wait before a replay waits for room; 0: no limit. */
  maxQueueDepth: number;
  /** For one dead letter, in milliseconds. */
  enqueueTimeoutMs: number;
}

/** Without any room for so long, workers are missing. */
const ROOM_TIMEOUT_MS = 30_000;
const ROOM_POLL_MS = 100;
/** Between two looks at a job that may have ended: its worker cleans up within milliseconds. */
const SETTLE_MS = [5, 20, 50, 100, 200];
const DOING = 'replaying a dead letter';

/**
 * Puts one record into the queue again, in three steps: a chunk with the record's old sequence, made from the dead letter
 * that must still be there; the job; the removal of the dead letter, by a script that looks once more at both. Wherever it
 * breaks off, the dead letter is there still, and doing all of it again does no harm: the job has the same id, and applying
 * the record twice changes nothing.
 */
export class Replayer {
  readonly #options: ReplayerOptions;
  #queue: Queue<ChunkJob> | undefined;

  constructor(options: ReplayerOptions) {
    this.#options = options;
  }

  /**
   * @param payload replaces the record's; `job` is then what the dead letter says of it from now on
   * @throws QueueUnavailableError; BackpressureError if the queue stays full
   */
  async replay(
    job: DeadLetterJob,
    { payload, signal }: { payload?: Buffer; signal?: AbortSignal | undefined } = {},
  ): Promise<ReplayEnd> {
    const { enqueueTimeoutMs } = this.#options;
    const replay = newReplay(job, payload);
    const limits = { deadline: performance.now() + enqueueTimeoutMs, full: 0 };
    let replyLost = false;
    const attempt = async (): Promise<ReplayEnd> => {
      for (;;) {
        const prepared = await this.#prepare(replay, limits.deadline);
        // The reply to our own removal may be what was lost.
        if (prepared === 'gone') return replyLost ? 'replayed' : 'skipped';
        if (prepared === 'busy') return 'busy';
        if (prepared === 'unreadable') return this.#skip(job, 'its payload is lost');
        if (prepared === 'out of range') {
          return this.#skip(job, 'its sequence is damaged; ckpt repair numbers it anew');
        }
        if (prepared === 'full') {
          limits.full ||= performance.now();
          if (!(await this.#roomMayCome(limits.full, signal))) return 'stopped';
          limits.deadline = performance.now() + enqueueTimeoutMs;
          continue;
        }
        await this.#add(replay, limits.deadline);
        replyLost = true;
        const confirmed = await this.#confirm(replay, limits.deadline);
        replyLost = false;
        if (confirmed === 'removed') return 'replayed';
        if (confirmed === 'gone' || confirmed === 'stray') return 'skipped';
      }
    };
    return retryUntil(() => limits.deadline, attempt, DOING);
  }

  async close(): Promise<void> {
    await this.#queue?.close();
  }

  async #prepare(replay: Replay, deadline: number): ReturnType<typeof prepareReplay> {
    const { connection, keys, maxQueueDepth } = this.#options;
    return withDeadline(deadline, prepareReplay(connection.client, keys, replay, maxQueueDepth), DOING);
  }

  async #add({ job, jobId }: Replay, deadline: number): Promise<void> {
    const { sink, target, bytes, firstFailedAt } = job;
    const data: ChunkJob = { sink, target, records: 1, bytes, firstFailedAt };
    await withDeadline(deadline, this.#jobs().add('chunk', data, jobOptions(jobId)), DOING);
  }

  /** Asks until it is settled, or has to be done anew. A job without a payload is in nobody's way afterwards. */
  async #confirm(replay: Replay, deadline: number): Promise<Confirmed> {
    const { connection, keys } = this.#options;
    for (const wait of [...SETTLE_MS, 0]) {
      const confirmed = await withDeadline(deadline, confirmReplay(connection.client, keys, replay), DOING);
      if (confirmed === 'removed' || confirmed === 'gone') return confirmed;
      if (confirmed === 'stray') await withDeadline(deadline, this.#jobs().remove(replay.jobId), DOING);
      if (confirmed === 'failed' || wait === 0) return confirmed;
      await delay(wait);
    }
    return 'unsettled';
  }

  /** @throws BackpressureError. @returns whether to ask again */
  async #roomMayCome(fullSince: number, signal: AbortSignal | undefined): Promise<boolean> {
    const { maxQueueDepth } = this.#options;
    if (performance.now() - fullSince >= ROOM_TIMEOUT_MS) {
      throw new BackpressureError('maxQueueDepth', maxQueueDepth, maxQueueDepth);
    }
    await delay(ROOM_POLL_MS, undefined, signal && { signal }).catch(() => {});
    return !signal?.aborted;
  }

  #skip({ sequence, replays }: DeadLetterJob, reason: string): 'skipped' {
    const deadLetterId = deadLetterIdOf(sequence, replays);
    this.#options.logger.error({ deadLetterId, reason }, 'a dead letter cannot be replayed');
    return 'skipped';
  }

  #jobs(): Queue<ChunkJob> {
    if (!this.#queue) {
      const { connection, keys, logger } = this.#options;
      this.#queue = new Queue(keys.queue, {
        prefix: keys.prefix,
        connection: connection.client,
        skipVersionCheck: true,
      });
      this.#queue.on('error', throttledErrorLog(logger, 'queue error'));
    }
    return this.#queue;
  }
}
