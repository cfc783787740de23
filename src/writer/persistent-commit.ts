import { setTimeout as delay } from 'node:timers/promises';
import { DatabaseError } from '../errors.js';
import type { Logger } from '../logger.js';
import { classifyFailure, type FailureClass } from '../postgres/sqlstate.js';

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

export interface PersistentCommitOptions<Item, Outcome> {
  /** Writes the items in one transaction. */
  write: (items: readonly Item[]) => Promise<Outcome>;
  /** Creates the tables; called where they are missing. */
  createSchema: () => Promise<void>;
  logger: Logger;
  /** Aborted when the writer gives up on what it holds. */
  signal: AbortSignal;
}

/**
 * Commits a batch whatever it takes (promise P6): failures of the server are waited out, with the batch kept in memory and
 * its jobs' locks renewed by BullMQ; what PostgreSQL refuses for good is isolated by halving, and the rest commits (P5).
 * Each item's result is the outcome of the transaction it was part of; the first item of one carries it, the others `undefined`.
 */
export async function commitPersistently<Item, Outcome>(
  items: readonly Item[],
  options: PersistentCommitOptions<Item, Outcome>,
): Promise<PromiseSettledResult<Outcome | undefined>[]> {
  const { write, createSchema, logger, signal } = options;
  const rejected = (reason: unknown) => items.map(() => ({ status: 'rejected' as const, reason }));
  for (let attempt = 0; ; attempt++) {
    if (signal.aborted) return rejected(new NotCommitted());
    try {
      const outcome = await write(items);
      if (attempt > 0) logger.info({ attempts: attempt + 1 }, 'batch committed after retries');
      return items.map((_, index) => ({ status: 'fulfilled', value: index === 0 ? outcome : undefined }));
    } catch (error) {
      const failure = error instanceof DatabaseError ? classifyFailure(error) : 'unknown';
      if (failure === 'record') {
        if (items.length === 1) return rejected(error);
        const middle = items.length >> 1;
        return [
          ...(await commitPersistently(items.slice(0, middle), options)),
          ...(await commitPersistently(items.slice(middle), options)),
        ];
      }
      if (attempt === 0 || failure === 'unknown') logHeldBatch(logger, failure, error, items.length);
      if (failure === 'missing-schema')
        await createSchema().catch((cause) => logSchemaFailure(logger, cause));
      await delay(backoff(failure, attempt), undefined, { signal }).catch(() => {});
    }
  }
}

function backoff(failure: Exclude<FailureClass, 'record'>, attempt: number): number {
  const { first, max } = RETRY_MS[failure];
  const full = Math.min(max, first * 2 ** Math.min(attempt, 20));
  return full / 2 + (Math.random() * full) / 2;
}

function logHeldBatch(logger: Logger, failure: FailureClass, error: unknown, chunks: number): void {
  const about = { failure, chunks, ...describe(error) };
  if (failure === 'transient') logger.warn(about, 'batch not committed; held and tried again');
  else logger.error(about, 'batch not committed and somebody has to act; held and tried again');
}

function logSchemaFailure(logger: Logger, error: unknown): void {
  logger.error(describe(error), 'tables are missing and could not be created');
}

/** Nothing of a record may reach a log (promise P8): our own errors are free of data, of others only the name is told. */
function describe(error: unknown): { code?: string; sqlState?: string; reason: string } {
  if (error instanceof DatabaseError) return { sqlState: error.sqlState, reason: error.message };
  const { code, name } = error as { code?: string; name?: string };
  return { code, reason: name ?? 'unknown error' };
}
