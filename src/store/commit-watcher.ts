import { setTimeout as delay } from 'node:timers/promises';
import { deferred } from '../deferred.js';
import { errorCopy } from '../error-copy.js';
import { ClosedError, PendingWritesTimeoutError } from '../errors.js';
import type { RedisConnection } from '../redis/connection.js';
import { withDeadline } from '../redis/deadline.js';
import { readDrainState } from '../redis/drain-state.js';
import { type JobEnd, jobEnds } from '../redis/job-ends.js';
import {
  type Destination,
  deadLetterKeys,
  isSameDestination,
  marksOf,
  mayBeFor,
  parseMark,
  type QueueKeys,
} from '../redis/queue-keys.js';
import { retryUntil } from '../redis/retry.js';
import { ONE_ANSWER_MS, WaitLimit } from './wait-limit.js';

interface Awaited {
  readonly jobId: string;
  resolve(end: JobEnd): void;
  reject(error: unknown): void;
}

/** One look at Redis serves all who wait. From soon, for a lone save, to seldom, for a long backlog. */
const POLL_MS = { first: 2, max: 50 };
/** Deadline of one look; the next one follows, as long as somebody waits. */
const LOOK_TIMEOUT_MS = 2000;
const JOBS_A_LOOK = 2000;
const REDIS_AWAY = { problem: 'redis-away' } as const;
/** How long an error of a wait that has run out is held back to find the reason. */
const REASON_TIMEOUT_MS = 500;

/**
 * Tells when jobs are done. Job and payload are the truth: the worker commits, BullMQ removes the job, then the worker removes the
 * payload. So it does not matter whether it was finished before anyone asked, by whom, or how often.
 */
export class CommitWatcher {
  readonly #awaited = new Set<Awaited>();
  #looking: Promise<void> | undefined;
  #closed = false;
  #failure: Error | undefined;

  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: QueueKeys,
    /** Whose jobs `pending` and `allPending` look for. Default: those of all sinks and tables. */
    private readonly destination?: Destination,
  ) {}

  /**
   * What is acknowledged of an execution and may not be committed: the jobs that hold it, and whether any of it is marked as
   * a dead letter. One round trip.
   * @throws QueueUnavailableError
   */
  async pending(executionId: string, timeoutMs: number): Promise<{ jobIds: string[]; deadLetters: boolean }> {
    const deadline = performance.now() + timeoutMs;
    const doing = 'reading the pending marks';
    const [from, to] = marksOf(executionId);
    const ours = (reply: [Error | null, unknown] | undefined) =>
      (replyValue(reply) as string[])
        .map(parseMark)
        .filter((mark) => !this.destination || mayBeFor(mark, this.destination))
        .map(({ jobId }) => jobId);
    const read = async () => {
      // In one transaction: between two looks, a dead letter may become a job again, or a job a dead letter.
      const look = this.connection.client.multi();
      look.zrangebylex(this.keys.marks, from, to);
      look.zrangebylex(deadLetterKeys(this.keys).marks, from, to);
      const [marks, dead] = (await withDeadline(deadline, look.exec(), doing)) ?? [];
      return {
        jobIds: ours(marks),
        deadLetters: ours(dead).length > 0,
      };
    };
    return retryUntil(() => deadline, read, doing);
  }

  /** The jobs of all that is acknowledged and may not be committed. @throws QueueUnavailableError */
  async allPending(timeoutMs: number): Promise<string[]> {
    const deadline = performance.now() + timeoutMs;
    const doing = 'reading the pending chunks';
    const read = async () => this.#ours(await this.connection.client.zrange(this.keys.chunks, '0', '-1'));
    return retryUntil(
      () => deadline,
      () => withDeadline(deadline, read(), doing),
      doing,
    );
  }

  /** Without the jobs that say that they are for another destination; one that is gone says nothing. */
  async #ours(jobIds: readonly string[]): Promise<string[]> {
    const { destination } = this;
    if (!destination) return [...jobIds];
    const ours: string[] = [];
    for (let from = 0; from < jobIds.length; from += JOBS_A_LOOK) {
      const some = jobIds.slice(from, from + JOBS_A_LOOK);
      const pipeline = this.connection.client.pipeline();
      for (const jobId of some) pipeline.hget(this.keys.jobPrefix + jobId, 'data');
      const replies = (await pipeline.exec()) ?? [];
      ours.push(
        ...some.filter((_, index) => {
          const named = destinationOfJob(replyValue(replies[index]));
          return !named || isSameDestination(named, destination);
        }),
      );
    }
    return ours;
  }

  /** How the jobs stand now; those that still have work to do are left out. */
  async ended(jobIds: readonly string[]): Promise<Map<string, JobEnd>> {
    const ends = new Map<string, JobEnd>();
    for (let from = 0; from < jobIds.length; from += JOBS_A_LOOK) {
      const look = jobEnds(this.connection.client, this.keys, jobIds.slice(from, from + JOBS_A_LOOK));
      const found = await withDeadline(performance.now() + LOOK_TIMEOUT_MS, look, 'looking for jobs');
      for (const [jobId, end] of found) ends.set(jobId, end);
    }
    return ends;
  }

  /**
   * Waits until all of the jobs have ended; gives those that were refused.
   * @throws PendingWritesTimeoutError; ClosedError; the reason of the signal
   */
  async whenEnded(jobIds: Iterable<string>, limit = new WaitLimit()): Promise<string[]> {
    if (this.#closed) throw new ClosedError('store');
    const unique = [...new Set(jobIds)];
    // If Redis is away, the watch below goes on asking.
    const looked = this.ended(unique).catch(() => undefined);
    // A limit that is short, or spent, must not tell that what is done is pending.
    const ended = (await limit.settle(looked, ONE_ANSWER_MS)) ?? new Map<string, JobEnd>();
    const failed = unique.filter((jobId) => ended.get(jobId) === 'failed');
    const left = unique.filter((jobId) => !ended.has(jobId));
    if (left.length === 0) return failed;
    // Closed during the look above: nobody would settle the watches.
    if (this.#closed) throw new ClosedError('store');
    if (this.#failure) throw errorCopy(this.#failure);
    const watches = left.map((jobId) => this.#watch(jobId));
    try {
      const ends = await limit.settle(Promise.all(watches.map(({ end }) => end)));
      if (ends) return [...failed, ...left.filter((_, index) => ends[index] === 'failed')];
      const pending = watches.filter(({ awaited }) => this.#awaited.has(awaited)).length;
      throw await this.#timedOut(pending, limit);
    } finally {
      for (const { awaited } of watches) this.#awaited.delete(awaited);
    }
  }

  /** Nothing that has not ended yet ever will: rejects all who wait for it, now and later. */
  fail(error: Error): void {
    this.#failure = error;
    for (const { reject } of this.#awaited) reject(errorCopy(error));
    this.#awaited.clear();
  }

  /** The jobs that somebody waits for. */
  get awaited(): string[] {
    return Array.from(this.#awaited, ({ jobId }) => jobId);
  }

  /** Rejects all who still wait. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { reject } of this.#awaited) reject(new ClosedError('store'));
    this.#awaited.clear();
    await this.#looking;
  }

  #watch(jobId: string): { awaited: Awaited; end: Promise<JobEnd> } {
    const { promise, ...settle } = deferred<JobEnd>();
    const awaited = { jobId, ...settle };
    this.#awaited.add(awaited);
    this.#looking ??= this.#look();
    return { awaited, end: promise };
  }

  async #timedOut(pending: number, { timeoutMs }: WaitLimit): Promise<PendingWritesTimeoutError> {
    const deadline = performance.now() + REASON_TIMEOUT_MS;
    const reading = readDrainState(this.connection.client, this.keys, this.destination);
    const state = await withDeadline(deadline, reading, 'looking for workers').catch(() => REDIS_AWAY);
    return new PendingWritesTimeoutError(pending, Math.round(timeoutMs), state.problem);
  }

  async #look(): Promise<void> {
    for (let wait = POLL_MS.first; this.#awaited.size > 0; wait = Math.min(wait * 2, POLL_MS.max)) {
      await delay(wait);
      try {
        const ends = await this.ended([...new Set([...this.#awaited].map(({ jobId }) => jobId))]);
        for (const awaited of this.#awaited) {
          const end = ends.get(awaited.jobId);
          if (!end) continue;
          this.#awaited.delete(awaited);
          awaited.resolve(end);
          wait = POLL_MS.first;
        }
      } catch {
        // Redis is away: who waits goes on waiting, up to its own timeout.
      }
    }
    this.#looking = undefined;
  }
}

function replyValue(reply: [error: Error | null, value: unknown] | undefined): unknown {
  if (!reply || reply[0]) throw reply?.[0] ?? new Error('no reply');
  return reply[1];
}

/** Of the data of a job, which anybody may have made; undefined if it names none. */
function destinationOfJob(data: unknown): Destination | undefined {
  try {
    const { sink, target } = JSON.parse(String(data)) as Partial<Destination>;
    return typeof sink === 'string' && typeof target === 'string' ? { sink, target } : undefined;
  } catch {
    return undefined;
  }
}
