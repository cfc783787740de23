import { MAX_AGE_MS } from '../duration.js';
import {
  DatabaseError,
  DeadLetteredError,
  InvalidCheckpointError,
  InvalidConfigError,
  PendingWritesTimeoutError,
  WriteRefusedError,
} from '../errors.js';
import { checkOptions, type KnownKeys } from '../known-keys.js';
import { isWhole } from '../numbers.js';
import type { Database } from '../postgres/database.js';
import { queryRows } from '../postgres/database.js';
import type { GraphTableNames } from '../postgres/graph-tables.js';
import { type GraphThreadsSql, graphThreadsSql } from '../postgres/graph-threads.js';
import type { Producer } from '../producer/producer.js';
import { validThreadId } from './configs.js';

export interface ThreadSummary {
  readonly threadId: string;
  /** The newest checkpoint of the root namespace, and when it was made; undefined where the thread has none there. */
  readonly checkpointId: string | undefined;
  readonly updatedAt: Date | undefined;
}

export interface ListThreadsOptions {
  /** 1 to 10,000. Default 100. */
  limit?: number;
  /** Only those behind the thread of this id; to page, give the last one of the page before. */
  after?: string;
}

const LIST_OPTIONS = { limit: true, after: true } satisfies KnownKeys<ListThreadsOptions>;

/** At least one of `keepLast` and `olderThan`; with both, a checkpoint goes if both say so. */
export interface PruneOptions {
  /** The newest checkpoints to keep, 1 at least: of the root, and of each subgraph that goes on from run to run. */
  keepLast?: number;
  /** Only what was made longer ago than this, in milliseconds. Alone, it may take all of a thread. */
  olderThan?: number;
  /** Only this thread. Default: all. */
  threadId?: string;
  /** Only count. Default: false. */
  dryRun?: boolean;
  /** Stops between two threads. */
  signal?: AbortSignal;
  /** Told after each thread. */
  onProgress?: (progress: PruneResult) => void;
}

const PRUNE_OPTIONS = {
  keepLast: true,
  olderThan: true,
  threadId: true,
  dryRun: true,
  signal: true,
  onProgress: true,
} satisfies KnownKeys<PruneOptions>;

export interface PruneResult {
  /** Threads that were looked at. */
  readonly threads: number;
  readonly checkpoints: number;
  /**
   * Threads that stay as they are for now: what was put of them is not committed, or is a dead letter, or somebody holds their rows.
   * Where one thread is named, that is an error instead.
   */
  readonly heldBack: number;
}

export interface CopyResult {
  readonly checkpoints: number;
}

export interface ThreadsOptions {
  database: Database;
  names: GraphTableNames;
  producer: Pick<Producer, 'nextSequenceInOrder'>;
  creatingTables: <T>(work: () => Promise<T>) => Promise<T>;
  /** Resolves when all that was put of the thread is committed. */
  whenCommitted: (threadId: string) => Promise<void>;
}

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 10_000;
const MAX_KEPT = 1_000_000;
/** Threads read at once while all are pruned. */
const PAGE = 500;
const LOCK_LIMITS = "SET LOCAL lock_timeout = '10s'; SET LOCAL statement_timeout = '5min'";

const TAKEN = 'is a thread that has something already';
const UNIQUE_VIOLATION = '23505';

/** What is done with threads as a whole. */
export class Threads {
  readonly #options: ThreadsOptions;
  readonly #sql: GraphThreadsSql;

  constructor(options: ThreadsOptions) {
    this.#options = options;
    this.#sql = graphThreadsSql(options.names);
  }

  async list(options: ListThreadsOptions = {}): Promise<ThreadSummary[]> {
    checkOptions(options, LIST_OPTIONS, 'listThreads');
    const { limit = DEFAULT_LIMIT, after } = options;
    if (!isWhole(limit, 1, MAX_LIMIT)) {
      throw new InvalidConfigError('limit', `must be a whole number from 1 to ${MAX_LIMIT}`);
    }
    const { creatingTables, database } = this.#options;
    const values = [after === undefined ? null : validThreadId(after, 'after'), limit];
    const rows = await creatingTables(() => database.query(this.#sql.list, values));
    return rows.map(({ thread_id, checkpoint_id, ts }) => ({
      threadId: thread_id as string,
      checkpointId: checkpoint_id ?? undefined,
      updatedAt: ts == null ? undefined : new Date(ts),
    }));
  }

  /** One transaction for each thread. What waits in the queue of a thread is committed first: it may go on from what is old. */
  async prune(options: PruneOptions): Promise<PruneResult> {
    const { keepLast, olderThan, dryRun = false, signal, onProgress } = checked(options);
    const { database, whenCommitted } = this.#options;
    const sum = { threads: 0, checkpoints: 0, heldBack: 0 };
    const pruneThread = async (threadId: string): Promise<number> => {
      await whenCommitted(threadId);
      const values = [threadId, keepLast ?? null, olderThan ?? null, !dryRun];
      const [row] = await database.withTransaction((client) => queryRows(client, this.#sql.prune, values), {
        setup: LOCK_LIMITS,
      });
      return Number(row?.count);
    };
    for await (const threadId of this.#threadIds(options.threadId)) {
      if (signal?.aborted) break;
      try {
        sum.checkpoints += await pruneThread(threadId);
      } catch (error) {
        if (options.threadId !== undefined || !isOfOneThread(error)) throw error;
        sum.heldBack++;
      }
      sum.threads++;
      onProgress?.({ ...sum });
    }
    return sum;
  }

  /** @throws InvalidCheckpointError naming `from` or `to` */
  async copy({ from, to }: { from: string; to: string }): Promise<CopyResult> {
    if (from === to) throw new InvalidCheckpointError('to', 'is the thread that is to be copied');
    const { database, producer, creatingTables } = this.#options;
    const sequence = await producer.nextSequenceInOrder();
    const copy = () =>
      database.withTransaction(
        async (client) => {
          const found = async (threadId: string) => {
            const [row] = await queryRows(client, this.#sql.exists, [threadId]);
            return row?.found === 't';
          };
          if (!(await found(from))) throw new InvalidCheckpointError('from', 'is a thread that has nothing');
          if (await found(to)) throw new InvalidCheckpointError('to', TAKEN);
          const [row] = await queryRows(client, this.#sql.copy, [from, to, sequence]);
          // As a batch does before it commits: a delete that came meanwhile does not wait for this transaction otherwise.
          await queryRows(client, this.#sql.lockBatch);
          const [buried] = await queryRows(client, this.#sql.isBuried, [to, sequence]);
          if (buried?.buried === 't') throw new InvalidCheckpointError('to', 'was deleted meanwhile');
          return { checkpoints: Number(row?.count) };
        },
        { setup: LOCK_LIMITS },
      );
    return creatingTables(copy).catch((error) => {
      // Somebody was first, after the look.
      const taken = error instanceof DatabaseError && error.sqlState === UNIQUE_VIOLATION;
      throw taken ? new InvalidCheckpointError('to', TAKEN) : error;
    });
  }

  async *#threadIds(only: string | undefined): AsyncGenerator<string> {
    if (only !== undefined) {
      yield validThreadId(only);
      return;
    }
    for (let after: string | undefined; ; ) {
      const page = await this.list({ limit: PAGE, ...(after !== undefined && { after }) });
      for (const { threadId } of page) yield threadId;
      if (page.length < PAGE) return;
      after = page.at(-1)?.threadId;
    }
  }
}

/** Whether the threads behind it may fare better. */
function isOfOneThread(error: unknown): boolean {
  if (error instanceof DatabaseError) return ROWS_HELD.has(error.sqlState ?? '');
  return (
    error instanceof PendingWritesTimeoutError ||
    error instanceof DeadLetteredError ||
    error instanceof WriteRefusedError
  );
}

/** Not got in time, deadlocked, taken too long. */
const ROWS_HELD = new Set(['55P03', '40P01', '57014']);

/** @throws InvalidConfigError naming the option */
function checked(options: PruneOptions): PruneOptions {
  checkOptions(options, PRUNE_OPTIONS, 'pruneThreads');
  const { keepLast, olderThan } = options;
  if (keepLast === undefined && olderThan === undefined) {
    throw new InvalidConfigError('keepLast', 'or olderThan must say what is to go');
  }
  if (keepLast !== undefined && !isWhole(keepLast, 1, MAX_KEPT)) {
    throw new InvalidConfigError('keepLast', `must be a whole number from 1 to ${MAX_KEPT}`);
  }
  if (olderThan !== undefined && !isWhole(olderThan, 0, MAX_AGE_MS)) {
    throw new InvalidConfigError(
      'olderThan',
      'must be a whole number of milliseconds, up to a thousand years',
    );
  }
  return options;
}
