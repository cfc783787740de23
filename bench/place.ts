import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import pg from 'pg';

/** What a contender has to know to reach the servers; may be sent to another process. */
export interface Address {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly schema: string;
  readonly queue: string;
}

const SCAN_COUNT = 1000;
const INSUFFICIENT_PRIVILEGE = '42501';

/** Schemas and a queue that only this run uses, emptied between measurements and removed in the end. */
export class Place {
  readonly address: Address;
  /** PostgresSaver's tables have the same names as ours, so they live in a schema of their own. */
  readonly saverSchema: string;
  readonly #pool: pg.Pool;
  readonly #redis: Redis;

  constructor({ databaseUrl, redisUrl }: { databaseUrl: string; redisUrl: string }) {
    const name = `bench_${randomUUID().replaceAll('-', '').slice(0, 12)}`;
    this.address = { databaseUrl, redisUrl, schema: name, queue: name };
    this.saverSchema = `${name}_saver`;
    this.#pool = new pg.Pool({ connectionString: databaseUrl, max: 1 });
    // The loss of an idle connection is noticed by the next query.
    this.#pool.on('error', () => {});
    this.#redis = new Redis(redisUrl);
    this.#redis.on('error', () => {});
  }

  /**
   * Throws unless the table holds as many rows as were saved, of these executions or in all: a figure counts only if the
   * work was done.
   */
  async expectRows(
    schema: string,
    table: string,
    expected: number,
    executionIds?: readonly string[],
  ): Promise<void> {
    const { rows } = await this.#pool.query(
      `SELECT count(*)::int AS count FROM "${schema}"."${table}" ${executionIds ? 'WHERE execution_id = ANY ($1)' : ''}`,
      executionIds && [executionIds],
    );
    if (rows[0].count !== expected) {
      throw new Error(`${expected} rows should be in ${table}, there are ${rows[0].count}`);
    }
  }

  /** Empties tables and queue and has PostgreSQL write its checkpoint, so that no contender pays for the one before. */
  async clear(): Promise<void> {
    const { rows } = await this.#pool.query<{ name: string }>(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
        WHERE schemaname = ANY ($1) AND tablename NOT LIKE '%migrations'`,
      [[this.address.schema, this.saverSchema]],
    );
    if (rows.length > 0) await this.#pool.query(`TRUNCATE ${rows.map(({ name }) => name).join(', ')}`);
    await this.#removeQueue();
    try {
      await this.#pool.query('CHECKPOINT');
    } catch (error) {
      // A server that was given may not allow it.
      if ((error as { code?: string }).code !== INSUFFICIENT_PRIVILEGE) throw error;
    }
  }

  async serverVersions(): Promise<Record<string, string>> {
    const settings = ['server_version', 'fsync', 'synchronous_commit', 'shared_buffers', 'max_wal_size'];
    const { rows } = await this.#pool.query<{ name: string; setting: string }>(
      'SELECT name, current_setting(name) AS setting FROM pg_settings WHERE name = ANY ($1)',
      [settings],
    );
    const redisInfo = await this.#redis.info();
    const redisFact = (name: string) =>
      new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(redisInfo)?.[1] ?? 'unknown';
    return {
      ...Object.fromEntries(rows.map(({ name, setting }) => [`postgres_${name}`, setting])),
      redis_version: redisFact('redis_version'),
      redis_aof_enabled: redisFact('aof_enabled'),
    };
  }

  /** What Redis holds, in bytes; not its processes' memory. */
  async redisMemory(): Promise<number> {
    const [, bytes] = /^used_memory:(\d+)/m.exec(await this.#redis.info('memory')) ?? [];
    return Number(bytes);
  }

  /** Drops everything and disconnects. */
  async remove(): Promise<void> {
    try {
      await this.#removeQueue();
      for (const schema of [this.address.schema, this.saverSchema]) {
        await this.#pool.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
      }
    } finally {
      this.#redis.disconnect();
      await this.#pool.end();
    }
  }

  async #removeQueue(): Promise<void> {
    const match = `bull:${this.address.queue}:*`;
    for await (const keys of this.#redis.scanStream({ match, count: SCAN_COUNT })) {
      if (keys.length > 0) await this.#redis.unlink(keys);
    }
  }
}
