import { setTimeout as delay } from 'node:timers/promises';
import { CheckpointQueueError, DatabaseError } from '../errors.js';
import type { Logger } from '../logger.js';
import { classifyFailure, type FailureClass } from '../postgres/sqlstate.js';
import type { Failure } from './circuit-breaker.js';

/** Waits between tries, doubled from first to max, each with a jitter of half of it. */
const RETRY_MS: Record<Exclude<FailureClass, 'record'>, { first: number; max: number }> = {
  transient: { first: 50, max: 2000 },
  'missing-schema': { first: 50, max: 5000 },
  environment: { first: 1000, max: 15_000 },
  unknown: { first: 1000, max: 15_000 },
};

/** The writer is closing and this was not committed: its job goes back to the queue. */
export class NotCommitted extends Error {
  constructor() {
    super('the writer closed before the commit');
  }
}

export interface PersistentCommitOptions<Item> {
  /** Writes the items in one transaction. */
  write: (items: readonly Item[]) => Promise<unknown>;
  /** The item that the failure is due to, where it tells. */
  culprit?: (error: DatabaseError) => Item | undefined;
  /** Told of each failure that is waited out. */
  onFailure?: (failure: Failure) => void;
  /** Creates the tables; called where they are missing. */
  createSchema: () => Promise<void>;
  logger: Logger;
  /** Aborted when the writer gives up on what it holds. */
  signal: AbortSignal;
}

/** An item that PostgreSQL refuses for good. */
export interface Refusal<Item> {
  readonly item: Item;
  readonly error: DatabaseError;
}

/**
 * Commits a batch whatever it takes (promise P6): failures of the server are waited out, with the batch kept in memory and
 * its jobs' locks renewed by BullMQ; what PostgreSQL refuses for good is isolated, and the rest commits (P5).
 * @returns what was refused
 * @throws NotCommitted when it is told to give up; some of the items may be committed then
 */
export async function commitPersistently<Item>(
  items: readonly Item[],
  options: PersistentCommitOptions<Item>,
): Promise<Refusal<Item>[]> {
  const { write, createSchema, onFailure, logger, signal } = options;
  let logged: string | undefined;
  for (let attempt = 0; ; attempt++) {
    if (signal.aborted) throw new NotCommitted();
    try {
      await unlessAborted(signal, write(items));
      if (attempt > 0) logger.info({ attempts: attempt + 1 }, 'batch committed after retries');
      return [];
    } catch (error) {
      if (error instanceof NotCommitted) throw error;
      const failure = error instanceof DatabaseError ? classifyFailure(error) : 'unknown';
      if (failure === 'record') return isolate(items, error as DatabaseError, options);
      const { sqlState } = error as { sqlState?: string };
      onFailure?.({ failure, sqlState });
      // Once for each kind: what goes on for hours must not fill the log.
      if (logged !== `${failure} ${sqlState}`) logHeldBatch(logger, failure, error, items.length);
      logged = `${failure} ${sqlState}`;
      if (failure === 'missing-schema')
        await createSchema().catch((cause) => logSchemaFailure(logger, cause));
      await delay(backoff(failure, attempt), undefined, { signal }).catch(() => {});
    }
  }
}

/**
 * Commits what is not refused. Where the failure names its item, what is before it passed and what is behind it is unknown;
 * else all is unknown. What is unknown is halved: one bad item of 4,000 costs 3 transactions more or, without a name,
 * about 24; and where all are bad, the effort stays below n log n.
 */
async function isolate<Item>(
  items: readonly Item[],
  error: DatabaseError,
  options: PersistentCommitOptions<Item>,
): Promise<Refusal<Item>[]> {
  if (items.length === 1) return [{ item: items[0] as Item, error }];
  const culprit = options.culprit?.(error);
  const at = culprit === undefined ? -1 : items.indexOf(culprit);
  const refused: Refusal<Item>[] = at < 0 ? [] : [{ item: items[at] as Item, error }];
  const unknown = items.slice(at + 1);
  const middle = unknown.length >> 1;
  for (const part of [items.slice(0, Math.max(0, at)), unknown.slice(0, middle), unknown.slice(middle)]) {
    if (part.length > 0) refused.push(...(await commitPersistently(part, options)));
  }
  return refused;
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

function backoff(failure: Exclude<FailureClass, 'record'>, attempt: number): number {
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
