import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { QueuedCheckpointStore } from '../../src/index.js';
import type { FaultOracle } from '../faults/oracle.js';
import { type Arena, QUEUE, SCHEMA } from './arena.js';

const DEADLINE_MS = 60_000;
const RETRY_MS = 50;
const LOOK_MS = 50;
const ENQUEUE_TIMEOUT_MS = 2000;
/** Stuck jobs that the report describes, at most. */
const MAX_TOLD = 3;

/** Milliseconds; undefined where it took longer than a minute. */
export interface Recovery {
  /** Until a save that was called then was committed. */
  readonly commitMs: number | undefined;
  /** Until all was committed that was acknowledged before. */
  readonly backlogMs: number | undefined;
  /** What was left of it then, and where it stood. */
  readonly stuck: readonly string[];
}

/** Finds out how soon commits go on, past all proxies. */
export class RecoveryProbe {
  readonly #store: QueuedCheckpointStore;
  readonly #executionId = `probe-${randomUUID()}`;
  #probes = 0;

  constructor(
    private readonly arena: Arena,
    private readonly oracle: FaultOracle,
  ) {
    this.#store = new QueuedCheckpointStore({
      redis: arena.redis.url,
      postgres: arena.postgresUrl,
      schema: SCHEMA,
      queue: QUEUE,
      enqueueTimeoutMs: ENQUEUE_TIMEOUT_MS,
    });
  }

  async measure(): Promise<Recovery> {
    let left: string[] = [];
    const [commitMs, backlogMs] = await Promise.all([
      within((expired) => this.#commit(expired)),
      within((expired) =>
        this.#backlog(expired, (jobIds) => {
          left = jobIds;
        }),
      ),
    ]);
    const stuck = backlogMs === undefined ? await this.#whereabouts(left.slice(0, MAX_TOLD)) : [];
    return { commitMs, backlogMs, stuck };
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async #commit(expired: AbortSignal): Promise<void> {
    while (!expired.aborted) {
      try {
        const receipt = await this.oracle.save(this.#store, this.#checkpoint());
        await receipt.committed();
        return;
      } catch {
        await delay(RETRY_MS);
      }
    }
  }

  /**
   * Until the jobs that are there now have ended: a job is pending as long as it or its payload is there. Jobs that come later do not
   * count: a replay has an old sequence, and a record that PostgreSQL refuses is replayed again and again.
   */
  async #backlog(expired: AbortSignal, onLeft: (jobIds: string[]) => void): Promise<void> {
    const { client, keys } = this.arena;
    let left = await client.zrange(keys.chunks, 0, '-1');
    while (!expired.aborted && left.length > 0) {
      const pipeline = client.pipeline();
      for (const jobId of left) pipeline.exists(keys.jobPrefix + jobId, keys.payloadPrefix + jobId);
      const exist = (await pipeline.exec()) ?? [];
      left = left.filter((_, index) => exist[index]?.[0] !== null || exist[index]?.[1] !== 0);
      onLeft(left);
      if (left.length > 0) await delay(LOOK_MS);
    }
  }

  /** Of each job: the list it is in, whether its payload is there, and what BullMQ counts of it. */
  async #whereabouts(jobIds: readonly string[]): Promise<string[]> {
    const { client, keys } = this.arena;
    return Promise.all(
      jobIds.map(async (jobId) => {
        const job = keys.jobPrefix + jobId;
        const [waiting, active, failed, delayed, payload, lockMs, counts] = await Promise.all([
          client.lpos(keys.waiting, jobId),
          client.lpos(keys.active, jobId),
          client.zscore(keys.failed, jobId),
          client.zscore(`${keys.jobPrefix}delayed`, jobId),
          client.exists(keys.payloadPrefix + jobId),
          client.pttl(`${job}:lock`),
          client.hmget(job, 'atm', 'ats', 'stc', 'failedReason'),
        ]);
        const lists = Object.entries({ waiting, active, failed, delayed }).filter(
          ([, found]) => found !== null,
        );
        const where = lists.map(([list]) => list).join(' and ') || 'in no list';
        const [attempts, starts, stalls, reason] = counts;
        return `${jobId} ${where}, payload ${payload}, lock ${lockMs} ms, attempts ${attempts}, starts ${starts}, stalls ${stalls}, ${reason}`;
      }),
    );
  }

  #checkpoint() {
    const number = ++this.#probes;
    return {
      id: `${this.#executionId}/${number}`,
      executionId: this.#executionId,
      nodeName: 'probe',
      state: { token: randomUUID() },
      metadata: null,
      timestamp: new Date(1_700_000_000_000 + number),
      version: 1,
    };
  }
}

/** How long the work took; undefined if it came to no end in time, in which it ends then. */
async function within(work: (expired: AbortSignal) => Promise<void>): Promise<number | undefined> {
  const began = performance.now();
  const expiry = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<'expired'>((resolve) => {
    timer = setTimeout(() => {
      expiry.abort();
      resolve('expired');
    }, DEADLINE_MS);
  });
  try {
    const working = work(expiry.signal).then(() => 'done' as const);
    working.catch(() => {}); // told by the race, or expired before
    const end = await Promise.race([working, expired]);
    return end === 'done' ? performance.now() - began : undefined;
  } finally {
    clearTimeout(timer);
  }
}
