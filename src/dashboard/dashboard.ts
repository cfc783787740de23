import pg from 'pg';
import type { ConnectedConfig } from '../config.js';
import { DeadLetters } from '../dead-letters/dead-letters.js';
import { DatabaseError, QueueUnavailableError } from '../errors.js';
import { type Logger, silentLogger } from '../logger.js';
import { boundedPool } from '../postgres/bounded-pool.js';
import { Database } from '../postgres/database.js';
import { type TableNames, tableNames } from '../postgres/identifiers.js';
import { refusesLogin } from '../postgres/sqlstate.js';
import { RedisConnection } from '../redis/connection.js';
import { settlesWithin, withDeadline } from '../redis/deadline.js';
import { type QueueKeys, queueKeys } from '../redis/queue-keys.js';
import { type QueueStats, readQueueStats } from '../redis/queue-stats.js';
import { askWithin } from '../redis/retry.js';
import { remembered } from '../remembered.js';
import { CheckpointTable } from '../store/checkpoint-table.js';
import { CommitWatcher } from '../store/commit-watcher.js';
import { Access } from './access.js';
import { ExecutionReader } from './execution-reader.js';
import { ReplayTasks } from './replay-tasks.js';
import { Sampler } from './sampler.js';

export type DashboardConfig = Pick<
  ConnectedConfig,
  'redis' | 'postgres' | 'queue' | 'prefix' | 'schema' | 'table' | 'enqueueTimeoutMs'
> & {
  /** What has to be known to use it. Undefined: nothing, for who may reach it. */
  readonly token?: string | undefined;
};

/** Of PostgreSQL's connections: it is looked at by few, and writers need theirs. */
const POOL_SIZE = 2;
const QUERY_TIMEOUT_MS = 5000;
/** A connection that is being made when the first one asks is waited for. */
const LOOK_TIMEOUT_MS = 2000;
const ROWS_REMEMBERED_MS = 10_000;
/** For what is under way, and for PostgreSQL to let go. */
const CLOSE_MS = { work: 900, postgres: 400 };

/** PostgreSQL, as far as the dashboard sees it. */
export interface PostgresState {
  /** `refused`: it answers, and does not let this role in or has no such database. */
  readonly postgres: 'up' | 'down' | 'refused';
  /** Its own words, where it is not up. */
  readonly postgresError: string | null;
  /** Its estimate; null while it has none. */
  readonly rows: number | null;
}

async function postgresState(table: CheckpointTable): Promise<PostgresState> {
  try {
    const deadline = performance.now() + LOOK_TIMEOUT_MS;
    const rows = await withDeadline(deadline, table.estimatedRows(), 'estimating rows');
    return { postgres: 'up', postgresError: null, rows: rows ?? null };
  } catch (error) {
    const { message, sqlState } =
      error instanceof DatabaseError ? error : { message: 'PostgreSQL does not answer', sqlState: undefined };
    return { postgres: refusesLogin(sqlState) ? 'refused' : 'down', postgresError: message, rows: null };
  }
}

/** What the dashboard works with: it opens the connections, and closes them. Nothing here fails because a service is away. */
export class Dashboard {
  readonly access: Access;
  readonly names: TableNames;
  readonly keys: QueueKeys;
  readonly connection: RedisConnection;
  readonly sampler: Sampler;
  readonly letters: DeadLetters;
  readonly replays: ReplayTasks;
  readonly executions: ExecutionReader;
  /** Never rejects. */
  readonly postgresState: () => Promise<PostgresState>;
  readonly #pool: pg.Pool;
  readonly #database: Database;
  readonly #watcher: CommitWatcher;
  #closing: Promise<void> | undefined;

  /** @throws InvalidConfigError naming the option */
  constructor(
    { token, ...config }: DashboardConfig,
    readonly logger: Logger = silentLogger,
  ) {
    const { queue, prefix, schema, table, enqueueTimeoutMs } = config;
    this.access = new Access(token);
    this.names = tableNames({ schema, table });
    this.keys = queueKeys({ queue, prefix });
    this.#pool = new pg.Pool(
      boundedPool(config.postgres, {
        name: 'checkpoint-queue dashboard',
        max: POOL_SIZE,
        timeoutMs: QUERY_TIMEOUT_MS,
      }),
    );
    // Without a listener the loss of an idle connection would end the process.
    this.#pool.on('error', () => {});
    this.#database = new Database(this.#pool);
    this.connection = new RedisConnection(config.redis, this.keys, 'commands', logger);
    this.sampler = new Sampler(() => this.#readQueue());
    this.letters = new DeadLetters({
      ...{ queue, prefix, schema, table, enqueueTimeoutMs, logger },
      redis: this.connection.client,
      postgres: this.#pool,
    });
    this.replays = new ReplayTasks(this.letters, logger);
    this.executions = new ExecutionReader(this.#database, this.names);
    this.#watcher = new CommitWatcher(this.connection, this.keys);
    const checkpoints = new CheckpointTable(this.#database, this.names);
    this.postgresState = remembered(ROWS_REMEMBERED_MS, () => postgresState(checkpoints));
  }

  /** Jobs with acknowledged saves of an execution that are not committed; null while Redis is down. */
  async pendingJobs(executionId: string): Promise<number | null> {
    try {
      const { jobIds } = await this.#watcher.pending(executionId, LOOK_TIMEOUT_MS);
      const ended = await this.#watcher.ended(jobIds);
      return jobIds.filter((jobId) => !ended.has(jobId)).length;
    } catch (error) {
      if (error instanceof QueueUnavailableError || !this.connection.ready) return null;
      throw error;
    }
  }

  /** @throws QueueUnavailableError */
  async checkRedis(): Promise<void> {
    await askWithin(LOOK_TIMEOUT_MS, () => this.connection.client.ping(), 'asking whether it is there');
  }

  async #readQueue(): Promise<QueueStats> {
    try {
      const read = () => readQueueStats(this.connection, this.keys);
      return await askWithin(LOOK_TIMEOUT_MS, read, 'reading the queue');
    } catch (error) {
      // Otherwise a connection that a firewall has forgotten stays so for minutes.
      if (error instanceof QueueUnavailableError && !error.refused) this.connection.reset();
      throw error;
    }
  }

  /** Stops replays between two dead letters. Waits for no service that is away. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const ended = [
      this.sampler.close(),
      this.replays.close().then(() => this.letters.close()),
      this.#watcher.close(),
    ];
    await settlesWithin(Promise.allSettled(ended), CLOSE_MS.work);
    this.connection.close();
    const released = this.#database.close().then(() => this.#pool.end());
    if (!(await settlesWithin(released, CLOSE_MS.postgres))) {
      this.logger.warn({}, 'PostgreSQL did not let go of a connection in time');
    }
  }
}
