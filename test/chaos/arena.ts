import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import pg from 'pg';
import { PostgresCheckpointStore } from '../../src/index.js';
import { queueKeys } from '../../src/redis/queue-keys.js';
import { startPostgres } from '../../src/services/embedded-postgres.js';
import type { LocalServer } from '../../src/services/local-server.js';
import { startRedis } from '../../src/services/redis-server.js';
import { ACCEPT, REFUSE } from './refusals.js';

/** What producers and workers log in as: the superuser that the runner is would be above limits of connections. */
export const ROLE = 'chaos_app';
export const PASSWORD = 'chaos';
export const SCHEMA = 'chaos';
export const QUEUE = 'chaos';
/** The user of producers and workers in Redis, with all rights: what is taken from it is not taken from the runner. */
export const REDIS_USER = 'chaos_app';
const RECONNECT_MS = 100;

/** The servers of a run, and the runner's own look at both, past all proxies. */
export class Arena {
  readonly keys = queueKeys({ queue: QUEUE });
  readonly client: Redis;
  /** As operators see it. */
  readonly queue: Queue;
  readonly pool: pg.Pool;

  private constructor(
    readonly redis: LocalServer,
    readonly postgres: LocalServer,
  ) {
    this.client = new Redis(redis.url, { retryStrategy: () => RECONNECT_MS, maxRetriesPerRequest: null });
    const { queue, prefix } = this.keys;
    this.queue = new Queue(queue, { prefix, connection: this.client });
    this.queue.on('error', () => {});
    this.pool = new pg.Pool({ connectionString: postgres.url, application_name: 'chaos', max: 4 });
    // Its servers are taken away: what is asked of them waits or rejects by itself.
    this.client.on('error', () => {});
    this.pool.on('error', () => {});
    this.pool.on('connect', (client) => client.on('error', () => {}));
  }

  static async open(options: { onProgress: (message: string) => void; signal: AbortSignal }): Promise<Arena> {
    const user = ['--user', REDIS_USER, 'on', `>${PASSWORD}`, '~*', '&*', '+@all'];
    const redis = await startRedis({ ...options, args: ['--appendfsync', 'always', ...user] });
    try {
      const postgres = await startPostgres(options);
      const arena = new Arena(redis, postgres);
      try {
        await arena.#prepare();
        return arena;
      } catch (error) {
        await arena.close();
        throw error;
      }
    } catch (error) {
      await redis.stop();
      throw error;
    }
  }

  /** As the user of producers and workers. */
  get redisUrl(): string {
    const url = new URL(this.redis.url);
    url.username = REDIS_USER;
    url.password = PASSWORD;
    return url.toString();
  }

  /** As the role of producers and workers. */
  get postgresUrl(): string {
    const url = new URL(this.postgres.url);
    url.username = ROLE;
    url.password = PASSWORD;
    return url.toString();
  }

  /** From now on nothing is poison any more. */
  async acceptPoison(): Promise<void> {
    await this.pool.query(ACCEPT);
  }

  /** pg_attribute grows with every temporary table that is made. */
  async attributeBytes(): Promise<number> {
    const { rows } = await this.pool.query(`SELECT pg_total_relation_size('pg_attribute') AS bytes`);
    return Number(rows[0].bytes);
  }

  async close(): Promise<void> {
    await this.queue.close().catch(() => {}); // Redis may be away
    this.client.disconnect();
    await this.pool.end();
    await Promise.all([this.redis.stop(), this.postgres.stop()]);
  }

  async #prepare(): Promise<void> {
    await this.pool.query(`CREATE ROLE ${ROLE} LOGIN PASSWORD '${PASSWORD}'`);
    await this.pool.query(`CREATE SCHEMA ${SCHEMA} AUTHORIZATION ${ROLE}`);
    const store = new PostgresCheckpointStore({ postgres: this.postgresUrl, schema: SCHEMA });
    await store.initSchema().finally(() => store.close());
    await this.pool.query(REFUSE);
  }
}
