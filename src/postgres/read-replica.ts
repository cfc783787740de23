import { ClosedError, DatabaseError } from '../errors.js';
import { type Logger, silentLogger } from '../logger.js';
import { Database, type PgClient, type PostgresOption, queryRows, type TextRow } from './database.js';

/** The replica of the option `readPostgres`, if there is one. Connects when it is first used. @throws InvalidConfigError */
export function openReplica(
  readPostgres: PostgresOption | undefined,
  logger?: Logger,
): ReadReplica | undefined {
  return readPostgres === undefined ? undefined : new ReadReplica(readPostgres, logger);
}

/** Runs one statement where the read looks. */
export type ReadQuery = (text: string, values: unknown[]) => Promise<TextRow[]>;

/** A read waits for a connection, and then for its rows, this long at most, before the primary is asked. */
const ANSWER_TIMEOUT_MS = 5000;
/** So long after a failure the replica is not asked; then it is tried, beside the reads. */
const PAUSE_MS = 5000;
/** One line at most in this time for reads that were given to the primary one by one. */
const LOG_INTERVAL_MS = 60_000;
/** An error of somebody else's may tell anything. */
const NO_CONNECTION = { sqlState: undefined, message: 'no connection can be made' };

/**
 * A server that follows the primary, for reads that may be a little behind. What it cannot answer is asked of the primary, so that a
 * read fails only if that fails too. While it cannot be reached no read waits for it.
 */
export class ReadReplica {
  readonly #database: Database;
  readonly #logger: Logger;
  /** Set while it is away: when it is to be tried again. */
  #retryAt: number | undefined;
  #trying: Promise<void> | undefined;
  #silentUntil = 0;

  /** Connects when it is first used. @throws InvalidConfigError naming `readPostgres` */
  constructor(readPostgres: PostgresOption, logger: Logger = silentLogger) {
    this.#database = new Database(readPostgres, {
      field: 'readPostgres',
      logger,
      connectTimeoutMs: ANSWER_TIMEOUT_MS,
      // Nothing is stored there, and the primary is asked.
      anyEncoding: true,
    });
    this.#logger = logger;
  }

  /**
   * @param atReplica reads over one connection, so that its statements see one server, even if a balancer stands before several
   * @throws what `atPrimary` throws; what `atReplica` throws that is not PostgreSQL's
   */
  async read<T>(
    atReplica: (query: ReadQuery, client: PgClient) => Promise<T>,
    atPrimary: () => Promise<T>,
  ): Promise<T> {
    if (this.#retryAt !== undefined) {
      this.#tryAgainIfDue(this.#retryAt);
      return atPrimary();
    }
    let connected = false;
    const read = (client: PgClient) => {
      connected = true;
      return atReplica((text, values) => queryRows(client, text, values), client);
    };
    try {
      return await this.#database.withClient(read, { timeoutMs: ANSWER_TIMEOUT_MS });
    } catch (error) {
      // What keeps a connection from being made need not be PostgreSQL's: a password that it asks for and nobody has given, say.
      if (connected && !(error instanceof DatabaseError)) throw error;
      this.#failed(error);
    }
    return atPrimary();
  }

  /** Does not wait for a replica that answers nothing longer than a read does. Idempotent. */
  async close(): Promise<void> {
    await this.#trying;
    await this.#database.close();
  }

  #failed(error: unknown): void {
    if (error instanceof ClosedError) return;
    const { sqlState, message: reason } = error instanceof DatabaseError ? error : NO_CONNECTION;
    if (isAway(sqlState)) {
      if (this.#retryAt === undefined) {
        this.#logger.warn({ sqlState, reason }, 'the read replica is away: reads go to the primary');
      }
      this.#retryAt = performance.now() + PAUSE_MS;
    } else if (performance.now() >= this.#silentUntil) {
      this.#silentUntil = performance.now() + LOG_INTERVAL_MS;
      this.#logger.warn({ sqlState, reason }, 'the read replica refused a read, which went to the primary');
    }
  }

  #tryAgainIfDue(retryAt: number): void {
    if (performance.now() < retryAt) return;
    this.#trying ??= this.#tryAgain().finally(() => {
      this.#trying = undefined;
    });
  }

  async #tryAgain(): Promise<void> {
    try {
      await this.#database.withClient((client) => queryRows(client, 'SELECT 1'), {
        timeoutMs: ANSWER_TIMEOUT_MS,
      });
      this.#retryAt = undefined;
      this.#logger.info({}, 'the read replica is back');
    } catch (error) {
      this.#failed(error);
    }
  }
}

/**
 * Whether the server, and not the one read, is the matter. A read that is cancelled because the replay of the log needs its rows
 * gone (40001, 40P01), or one of tables that are not replicated yet (42P01), says nothing of the next one.
 */
function isAway(sqlState: string | undefined): boolean {
  // Connection, role, database, resources, and the server's shutdown and start.
  return sqlState === undefined || /^(08|28|3D|53|57P)/.test(sqlState);
}
