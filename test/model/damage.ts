import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type pg from 'pg';
import { DeadLetters } from '../../src/index.js';
import { Database } from '../../src/postgres/database.js';
import { graphTableNames } from '../../src/postgres/graph-tables.js';
import { tableNames } from '../../src/postgres/identifiers.js';
import { RedisConnection } from '../../src/redis/connection.js';
import type { QueueKeys } from '../../src/redis/queue-keys.js';
import { SequenceRepair } from '../../src/repair/sequence-repair.js';

/** Long enough for a few operations to meet it. */
const DAMAGED_MS = 8;

export interface DamageOptions {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly schema: string;
  readonly keys: QueueKeys;
  readonly client: Redis;
  readonly pool: pg.Pool;
}

/** Numbers that no sequence can be, where one is expected, and their repair. */
export class Damage {
  readonly #connection: RedisConnection;
  readonly #database: Database;
  readonly #repair: SequenceRepair;
  readonly #letters: DeadLetters;

  constructor(private readonly options: DamageOptions) {
    const { databaseUrl, redisUrl, schema, keys } = options;
    this.#connection = new RedisConnection(redisUrl, keys, 'commands');
    this.#database = new Database({ connectionString: databaseUrl, max: 1 });
    this.#repair = new SequenceRepair({
      connection: this.#connection,
      keys,
      database: this.#database,
      names: tableNames({ schema }),
      graph: graphTableNames(`${schema}_graph`),
    });
    this.#letters = new DeadLetters({ redis: redisUrl, postgres: databaseUrl, schema, queue: keys.queue });
  }

  /** The last sequence in Redis, for a moment. */
  async lastSequence(number: string): Promise<void> {
    const { client, keys } = this.options;
    await client.set(keys.sequence, number);
    await delay(DAMAGED_MS);
    await this.mend();
  }

  /** A line of a file of dead letters. @returns whether it was refused for its number */
  async letter(number: string, id: string, executionId: string): Promise<boolean> {
    const at = new Date().toISOString();
    const line = {
      ...{ deadLetterId: `d-${number}`, id, executionId, sequence: Number(number), replays: 0 },
      ...{ sqlState: '23514', reason: 'check violation', jobId: `w-${number}`, worker: 'host:1' },
      ...{ sink: 'checkpoints', target: `${this.options.schema}.checkpoints` },
      ...{ firstFailedAt: at, lastFailedAt: at },
      checkpoint: { nodeName: 'node', state: {}, metadata: null, timestamp: at, version: 9 },
    };
    try {
      await this.#letters.import([line]);
      return false;
    } catch (error) {
      if ((error as { field?: string }).field === 'sequence') return true;
      throw error;
    }
  }

  /** A stored row, which gets another token with it, as if another program had saved it. */
  async row(number: string, id: string, token: string): Promise<void> {
    const { pool, schema } = this.options;
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      const { rows } = await client.query('SELECT to_regclass($1) AS ids', [`${schema}.checkpoints_ids`]);
      // The id index of a partitioned table has the number once more, and hides a row that has another one.
      if (rows[0].ids) {
        await client.query(`UPDATE ${schema}.checkpoints_ids SET write_seq = ${number} WHERE id = $1`, [id]);
      }
      await client.query(
        `UPDATE ${schema}.checkpoints SET write_seq = ${number}, state = jsonb_build_object('token', $2::text) WHERE id = $1`,
        [id, token],
      );
      await client.query('COMMIT');
      client.release();
    } catch (error) {
      client.release(error as Error);
      throw error;
    }
  }

  /** Numbers anew whatever is damaged. */
  async mend(): Promise<void> {
    await this.#repair.mend();
  }

  async close(): Promise<void> {
    await this.#repair.close();
    await this.#letters.close();
    this.#connection.close();
    await this.#database.close();
  }
}
