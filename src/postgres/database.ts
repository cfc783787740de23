import pg from 'pg';
import { ClosedError, DatabaseError } from '../errors.js';
import type { Logger } from '../logger.js';
import { asDatabaseError, BrokenConnection, connectionFailure, refusedStatement } from './database-errors.js';
import { parseDsn } from './dsn.js';
import { EncodingGuard } from './encoding.js';
import type { PgClient, PgPool, PgPoolConfig, PostgresOption } from './pg-types.js';
import { checkPoolOptions } from './pool-options.js';
import { ignore, type OnLost, watchPool } from './pool-watch.js';
import { queryRows, type TextRow } from './rows.js';
import { sqlStateOf } from './sqlstate.js';

export type { PgClient, PgPool, PostgresOption } from './pg-types.js';
export { queryRows, type TextRow } from './rows.js';

/** The connections of a pool. */
export interface PoolUse {
  readonly max: number;
  /** Open ones, lent or idle. */
  readonly open: number;
  readonly idle: number;
  /** Who waits for one. */
  readonly waiting: number;
}

export interface TransactionOptions {
  /** SQL without parameters that goes out together with BEGIN. */
  setup?: string;
  /** After so many milliseconds without an end the connection is closed, and the outcome is not known. Default: never. */
  timeoutMs?: number | undefined;
  /** Ends with ROLLBACK: only whether it would go through is of interest. Default false. */
  rehearsal?: boolean;
}

export interface DatabaseOptions {
  /** Default: silent. */
  logger?: Logger | undefined;
  /** Most connections. Default: what the DSN or the configuration says, else `pg`'s. */
  max?: number | undefined;
  /** Until there is a connection, unless the configuration says otherwise. Default 10,000 ms. */
  connectTimeoutMs?: number | undefined;
  /** The option to name in errors. Default `postgres`. */
  field?: string | undefined;
  /** Uses a database that is not in UTF-8, too, instead of refusing it: only to look at it. Default false. */
  anyEncoding?: boolean | undefined;
}

/**
 * Lends connections by callback; nothing else takes or releases one. Errors of PostgreSQL carry the failing row in their
 * details, so they leave here wrapped as `DatabaseError` with the SQLSTATE and a message free of data.
 */
export class Database {
  readonly #pool: PgPool;
  readonly #owned: boolean;
  readonly #lent = new Set<Promise<unknown>>();
  readonly #encoding: EncodingGuard | undefined;
  readonly #onLost: OnLost;
  /** Set from the first use on, so that a pool of the application is not touched before. */
  #stopWatching: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  /** @throws InvalidConfigError naming `field` */
  constructor(postgres: PostgresOption, options: DatabaseOptions = {}) {
    this.#owned = !isPool(postgres);
    this.#pool = isPool(postgres) ? postgres : openPool(postgres, options);
    const { logger } = options;
    this.#onLost = (error) =>
      logger?.warn({ sqlState: sqlStateOf(error) }, 'idle PostgreSQL connection lost');
    if (!options.anyEncoding) this.#encoding = new EncodingGuard(options.field ?? 'postgres');
  }

  /** Undefined for a pool that is not `pg`'s and does not tell. */
  get use(): PoolUse | undefined {
    const { options, totalCount, idleCount, waitingCount } = this.#pool as Partial<pg.Pool>;
    if (totalCount === undefined || idleCount === undefined || waitingCount === undefined) return undefined;
    return { max: options?.max ?? totalCount, open: totalCount, idle: idleCount, waiting: waitingCount };
  }

  /**
   * Lends a connection. A client whose callback threw is closed if it is broken, else returned.
   * @throws ClosedError; InvalidConfigError where the database is not in UTF-8; DatabaseError where the callback takes longer than
   *   `timeoutMs`: the connection is closed then
   */
  async withClient<T>(
    use: (client: PgClient) => Promise<T>,
    { timeoutMs }: Pick<TransactionOptions, 'timeoutMs'> = {},
  ): Promise<T> {
    if (this.#closing) throw new ClosedError('store');
    const work = this.#encoding?.before(use) ?? use;
    const lent = this.#lend(timeoutMs === undefined ? work : (client) => within(timeoutMs, work(client)));
    this.#lent.add(lent);
    try {
      return await lent;
    } finally {
      this.#lent.delete(lent);
    }
  }

  async #lend<T>(use: (client: PgClient) => Promise<T>): Promise<T> {
    let client: PgClient;
    this.#stopWatching ??= watchPool(this.#pool, this.#onLost);
    try {
      client = await this.#pool.connect();
    } catch (error) {
      throw asDatabaseError(error);
    }
    // The pool does not listen while it lends: a connection lost then would end the process. Its query rejects anyway. (For
    // connections that were made before the pool was watched, and pools that tell nothing of them.)
    client.on('error', ignore);
    let broken: Error | undefined;
    try {
      return await use(client);
    } catch (error) {
      broken = connectionFailure(error);
      throw asDatabaseError(error);
    } finally {
      client.release(broken);
      client.off('error', ignore);
    }
  }

  /**
   * One transaction, READ COMMITTED whatever the server's default: the guard of deletions needs each statement to see
   * what was committed before it.
   */
  async withTransaction<T>(
    use: (client: PgClient) => Promise<T>,
    options: TransactionOptions = {},
  ): Promise<T> {
    return this.withClient((client) => transact(client, use, options), options);
  }

  /**
   * One statement; where the server's default isolation makes it give way to another one, in a transaction of ours.
   * @param text the statement, or what chooses it on the connection that it will run on
   */
  async query(
    text: string | ((client: PgClient) => Promise<string>),
    values: unknown[] = [],
  ): Promise<TextRow[]> {
    const run = async (client: PgClient) =>
      queryRows(client, typeof text === 'string' ? text : await text(client), values);
    try {
      return await this.withClient(run);
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.sqlState !== SERIALIZATION_FAILURE) throw error;
      return this.withTransaction(run);
    }
  }

  /** When what was begun is done, ends the pool, unless it is the application's. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#lent);
    if (this.#owned) await this.#pool.end();
    else this.#stopWatching?.();
  }
}

const SERIALIZATION_FAILURE = '40001';

function openPool(
  postgres: string | PgPoolConfig,
  { max, connectTimeoutMs = 10_000, field = 'postgres' }: DatabaseOptions,
): pg.Pool {
  if (typeof postgres !== 'string') checkPoolOptions(postgres, field);
  return new pg.Pool({
    application_name: 'checkpoint-queue',
    // Otherwise a host that answers nothing holds a save or a shutdown for ever.
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    ...(max !== undefined && { max }),
    ...(typeof postgres === 'string' ? parseDsn(postgres, field) : (postgres as pg.PoolConfig)),
  });
}

async function transact<T>(
  client: PgClient,
  use: (client: PgClient) => Promise<T>,
  { setup = '', rehearsal = false }: TransactionOptions,
): Promise<T> {
  try {
    await client.query(`BEGIN ISOLATION LEVEL READ COMMITTED; ${setup}`);
    const result = await use(client);
    await client.query(rehearsal ? 'ROLLBACK' : 'COMMIT');
    return result;
  } catch (error) {
    // After a COMMIT that was refused there is nothing left to roll back, but the answer shows that the session goes on.
    await rollback(client, error);
    throw refusedStatement(error);
  }
}

/** What a server that answers nothing leaves open is given up, with its connection. */
async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    const error = new DatabaseError(`PostgreSQL did not answer within ${timeoutMs} ms`, undefined);
    timer = setTimeout(() => reject(new BrokenConnection(error)), timeoutMs);
  });
  try {
    return await Promise.race([work, expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** A rollback never hides the error that caused it; a client whose rollback failed is marked as broken. */
async function rollback(client: PgClient, cause: unknown): Promise<void> {
  try {
    await client.query('ROLLBACK');
  } catch {
    throw new BrokenConnection(cause);
  }
}

function isPool(postgres: PostgresOption): postgres is PgPool {
  return typeof (postgres as Partial<PgPool> | null)?.connect === 'function';
}
