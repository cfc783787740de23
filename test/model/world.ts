import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import pg from 'pg';
import { CheckpointWriter, type CheckpointWriterOptions } from '../../src/index.js';
import type { Period } from '../../src/postgres/identifiers.js';
import { queueKeys } from '../../src/redis/queue-keys.js';
import { FaultyProxy } from '../faults/faulty-proxy.js';
import { Damage } from './damage.js';
import { Dice } from './dice.js';
import { type Disturbance, DisturbedPool } from './disturbed-pool.js';
import type { Row } from './history.js';
import { Operator } from './operator.js';
import { Producer } from './producer.js';
import { Redelivery } from './redelivery.js';
import { PRODUCERS } from './steps.js';

export interface Services {
  readonly databaseUrl: string;
  readonly redisUrl: string;
}

export interface WorldOptions extends Sabotage {
  readonly partitionBy?: Period | undefined;
}

/** What is done to the writers, to see that it is noticed. */
export interface Sabotage extends Pick<Disturbance, 'merge'> {
  readonly sinks?: (schema: string) => CheckpointWriterOptions['sinks'];
}

/** A save with more bytes does not pass through the queue. */
export const MAX_QUEUED_BYTES = 2000;
const MAX_DELAY_MS = 20;
const LOST_COMMITS = 0.04;
/** Of each replica: the smaller the batches, the more of them run at once. */
const REPLICAS: ReadonlyArray<Partial<CheckpointWriterOptions>> = [
  { maxBatchRecords: 1, maxConcurrentBatches: 3, concurrency: 4 },
  { maxBatchRecords: 2, maxConcurrentBatches: 2, concurrency: 3 },
  { maxBatchRecords: 3, maxConcurrentBatches: 2, concurrency: 3 },
];
/** Jobs that an operator removed are back in a second or two. */
const QUIET_TIMEOUT_MS = 20_000;
const QUIET_POLL_MS = 5;
/** Records in a chunk, at most, of each producer. */
const MAX_CHUNK_RECORDS = [1, 3];

/** Two producer processes and three dawdling writers on a schema and a queue of their own, for any number of sequences. */
export class World {
  readonly dice = new Dice();
  readonly redelivery: Redelivery;
  readonly operator: Operator;
  readonly damage: Damage;
  readonly #schema = `model_${randomUUID().replaceAll('-', '')}`;
  readonly #keys = queueKeys({ queue: this.#schema });
  readonly #pool: pg.Pool;
  readonly #client: Redis;
  /** Between each producer and Redis. */
  readonly #proxies: FaultyProxy[] = [];
  readonly #writerPools: DisturbedPool[] = [];
  readonly #writers: CheckpointWriter[] = [];
  #sequences = 0;

  private constructor(
    private readonly services: Services,
    readonly producers: readonly Producer[],
  ) {
    this.#pool = new pg.Pool({ connectionString: services.databaseUrl, max: 2 });
    this.redelivery = new Redelivery(services.redisUrl, this.#keys, `${this.#schema}.checkpoints`);
    this.#client = new Redis(services.redisUrl);
    this.operator = new Operator(this.#client, this.#keys);
    this.damage = new Damage({
      ...services,
      ...{ schema: this.#schema, keys: this.#keys, client: this.#client, pool: this.#pool },
    });
  }

  /** @param producers stay the caller's to close */
  static async open(
    services: Services,
    producers: readonly Producer[],
    options: WorldOptions = {},
  ): Promise<World> {
    const world = new World(services, producers);
    try {
      await world.#open(options);
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  /** The beginning of all names of the next sequence. */
  nextPrefix(): string {
    return `${++this.#sequences}-`;
  }

  /** The producer's connection to Redis is lost when so many more bytes have passed. */
  cut(producer: number, bytes: number, direction: 'toServer' | 'toClient'): void {
    void this.#proxies[producer]?.cutAfter(bytes, direction);
  }

  /** Takes back the cuts that nothing has met yet. */
  async cutNoMore(): Promise<void> {
    await Promise.all(this.#proxies.map((proxy) => proxy.open()));
  }

  /** Resolves when nothing of executions that begin so is pending any more. */
  async quiet(prefix: string): Promise<void> {
    const pending = () => this.#client.zrangebylex(this.#keys.marks, `[${prefix}`, `[${prefix}\u{ff}`);
    for (const deadline = performance.now() + QUIET_TIMEOUT_MS; ; await delay(QUIET_POLL_MS)) {
      const left = await pending();
      if (left.length === 0) return;
      if (performance.now() > deadline) throw new Error(`still pending: ${left.join(' ')}`);
    }
  }

  /** What is stored under ids that begin so. */
  async rows(prefix: string): Promise<Row[]> {
    const { rows } = await this.#pool.query<Row>(
      `SELECT id, execution_id AS "executionId", version, write_seq::float8 AS sequence, state->>'token' AS token,
              (extract(epoch FROM timestamp) * 1000)::float8 AS timestamp
         FROM ${this.#schema}.checkpoints WHERE starts_with(id, $1) ORDER BY id`,
      [prefix],
    );
    return rows;
  }

  async close(): Promise<void> {
    await Promise.all(this.#writers.map((writer) => writer.close()));
    await Promise.all(this.#writerPools.map((pool) => pool.end()));
    await this.operator.close();
    await this.damage.close();
    await this.redelivery.close();
    this.#client.disconnect();
    await Promise.all(this.#proxies.map((proxy) => proxy.refuse()));
    await this.#pool.query(`DROP SCHEMA IF EXISTS ${this.#schema} CASCADE`);
    await this.#pool.end();
  }

  async #open({ partitionBy, sinks, merge }: WorldOptions): Promise<void> {
    const { databaseUrl, redisUrl } = this.services;
    for (const _ of this.producers) this.#proxies.push(await FaultyProxy.start(redisUrl));
    const place = { schema: this.#schema, queue: this.#keys.queue, partitionBy };
    await Promise.all(
      this.producers.map((producer, index) =>
        producer.ask({
          type: 'open',
          options: {
            ...place,
            redis: this.#proxies[index]?.url ?? redisUrl,
            postgres: { connectionString: databaseUrl, max: 5 },
            maxQueuedBytes: MAX_QUEUED_BYTES,
            maxChunkRecords: MAX_CHUNK_RECORDS[index],
          },
        }),
      ),
    );
    for (const replica of REPLICAS) {
      const pool = new DisturbedPool(
        { connectionString: databaseUrl, max: 4 },
        { dice: this.dice, maxDelayMs: MAX_DELAY_MS, lostCommits: LOST_COMMITS, merge },
      );
      this.#writerPools.push(pool);
      const writer = new CheckpointWriter({
        ...place,
        ...replica,
        redis: this.redelivery.redis,
        postgres: pool,
        lingerMs: 0,
        // A sabotaged sink takes the place of the writer's own.
        checkpoints: sinks === undefined,
        sinks: sinks?.(this.#schema),
      });
      this.#writers.push(writer);
      await writer.start();
    }
  }
}

/** Producer processes, as many as sequences ask for. */
export function startProducers(): Producer[] {
  return Array.from({ length: PRODUCERS }, () => new Producer());
}
