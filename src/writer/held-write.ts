import { setTimeout as delay } from 'node:timers/promises';
import { CheckpointQueueError, DatabaseError } from '../errors.js';
import type { Logger } from '../logger.js';
import { type Blame, blameOf } from '../postgres/blame.js';
import { isRaised } from '../postgres/database-errors.js';
import { classifyFailure, type FailureClass } from '../postgres/sqlstate.js';
import type { Failure } from './circuit-breaker.js';

type Waited = Exclude<FailureClass, 'record'>;

/** Waits between tries, doubled from first to max, each with a jitter of half of it. */
const RETRY_MS: Record<Waited, { first: number; max: number }> = {
  transient: { first: 50, max: 2000 },
  'missing-schema': { first: 50, max: 5000 },
  environment: { first: 1000, max: 15_000 },
  unknown: { first: 1000, max: 15_000 },
};

/** Refusals in a row of what may pass a moment later, by a lock that is released or a table that is made, before the records are looked at. */
const PATIENCE = 3;
/** So long after PostgreSQL took something it is not asked whether it takes anything at all, in milliseconds. */
const HEALTHY_MS = 1000;

/** The writer is closing and this was not committed: its job goes back to the queue. */
export class NotCommitted extends Error {
  constructor() {
    super('the writer closed before the commit');
  }
}

export interface HeldWriteOptions<Item> {
  /** Writes the items in one transaction. */
  write: (items: readonly Item[]) => Promise<unknown>;
  /** The same statements on the same tables, without any record: throws where nothing can be written. Default: nobody can tell. */
  writeNothing?: () => Promise<unknown>;
  /** Told of each failure that is waited out. */
  onFailure?: (failure: Failure) => void;
  /** Creates the tables; called where they are missing. */
  createSchema: () => Promise<void>;
  logger: Logger;
  /** Aborted when the writer gives up on what it holds. */
  signal: AbortSignal;
}

/**
 * Writes items however long PostgreSQL is away (promise P6): what is the server's is waited out, with the items kept in memory and
 * their jobs' locks renewed by BullMQ. Comes back when they are committed, or when the items themselves are refused: PostgreSQL takes
 * the same statements without them.
 */
export class HeldWrite<Item> {
  readonly #options: HeldWriteOptions<Item>;
  #healthyUntil = Number.NEGATIVE_INFINITY;
  #logged: string | undefined;

  constructor(options: HeldWriteOptions<Item>) {
    this.#options = options;
  }

  /**
   * @param patience how often what others may be the reason of is tried again
   * @returns why the items are refused; undefined when they are committed
   * @throws NotCommitted when it is told to give up; the items may be committed then
   */
  async write(items: readonly Item[], { patience = PATIENCE } = {}): Promise<DatabaseError | undefined> {
    let refusals = 0;
    for (let attempt = 0; ; attempt++) {
      let failed = await this.#try(() => this.#options.write(items));
      if (failed === undefined) {
        if (attempt > 0)
          this.#options.logger.info({ attempts: attempt + 1 }, 'batch committed after retries');
        return undefined;
      }
      if (mayBlame(failed)) {
        refusals++;
        if (refusals >= (isHasty(failed) ? 1 : patience)) {
          const outage = await this.#outage();
          if (outage === undefined) return failed;
          failed = outage;
        }
      }
      await this.#waitOut(failed, attempt, items.length);
    }
  }

  /** @returns what it failed with */
  async #try(work: () => Promise<unknown>): Promise<unknown> {
    const { signal } = this.#options;
    if (signal.aborted) throw new NotCommitted();
    try {
      await unlessAborted(signal, work());
      this.#healthyUntil = performance.now() + HEALTHY_MS;
      return undefined;
    } catch (error) {
      if (error instanceof NotCommitted) throw error;
      return error;
    }
  }

  /** Why nothing at all can be written now. */
  async #outage(): Promise<unknown> {
    const { writeNothing } = this.#options;
    if (!writeNothing || performance.now() < this.#healthyUntil) return undefined;
    return this.#try(writeNothing);
  }

  async #waitOut(error: unknown, attempt: number, records: number): Promise<void> {
    const { onFailure, createSchema, logger, signal } = this.#options;
    const failure = waitedClass(error);
    const { sqlState } = error as { sqlState?: string };
    // Whoever hears of the failure takes the server for away until something is written.
    this.#healthyUntil = Number.NEGATIVE_INFINITY;
    onFailure?.({ failure, sqlState });
    // Once for each kind: what goes on for hours must not fill the log.
    if (this.#logged !== `${failure} ${sqlState}`) logHeldBatch(logger, failure, error, records);
    this.#logged = `${failure} ${sqlState}`;
    if (failure === 'missing-schema') await createSchema().catch((cause) => logSchemaFailure(logger, cause));
    await delay(backoff(failure, attempt), undefined, { signal }).catch(() => {});
  }
}

function mayBlame(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && blameOf(error) !== 'none';
}

/** Whether trying again what was refused is of no use before the records are looked at. */
function isHasty(error: DatabaseError): boolean {
  const blame: Blame = blameOf(error);
  if (blame === 'suspected') return isRaised(error) || classifyFailure(error) !== 'missing-schema';
  return blame === 'certain';
}

/** How it is waited out. What refuses a record, and came without one, is nothing that is known. */
function waitedClass(error: unknown): Waited {
  const failure = error instanceof DatabaseError ? classifyFailure(error) : 'unknown';
  return failure === 'record' ? 'unknown' : failure;
}

/** A server that answers nothing holds a transaction for minutes: what it comes to is found out by who writes it again. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  let giveUp = () => {};
  const aborted = new Promise<never>((_, reject) => {
    giveUp = () => reject(new NotCommitted());
    signal.addEventListener('abort', giveUp, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

function backoff(failure: Waited, attempt: number): number {
  const { first, max } = RETRY_MS[failure];
  const full = Math.min(max, first * 2 ** Math.min(attempt, 20));
  return full / 2 + (Math.random() * full) / 2;
}

function logHeldBatch(logger: Logger, failure: FailureClass, error: unknown, records: number): void {
  const about = { failure, records, ...describe(error) };
  if (failure === 'transient') logger.warn(about, 'batch not committed; held and tried again');
  else logger.error(about, 'batch not committed and somebody has to act; held and tried again');
}

function logSchemaFailure(logger: Logger, error: unknown): void {
  logger.error(describe(error), 'tables are missing and could not be created');
}

/** Nothing of a record may reach a log (promise P8): our own errors are free of data, of others only the name is told. */
function describe(error: unknown): { code?: string; sqlState?: string; reason: string } {
  if (error instanceof DatabaseError) return { sqlState: error.sqlState, reason: error.message };
  if (error instanceof CheckpointQueueError) return { code: error.code, reason: error.message };
  const { code, name } = error as { code?: string; name?: string };
  return { code, reason: name ?? 'unknown error' };
}
