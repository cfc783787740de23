import type { Telemetry } from 'bullmq';
import { type KnownKeys, pickKnown } from '../known-keys.js';
import type { Logger } from '../logger.js';
import type { PostgresOption } from '../postgres/database.js';
import type { Period } from '../postgres/identifiers.js';
import type { RedisOption } from '../redis/connection.js';

/** Where a pipeline runs: the same for its producers and its writers. */
export interface PipelineOptions {
  /**
   * A URL (of a Redis, a Cluster: `redis-cluster://host1:6379,host2:6379`, or Sentinels:
   * `redis-sentinel://host1:26379,host2:26379/0?master=mymaster`), ioredis options, or an ioredis `Redis` or `Cluster`, which stays
   * yours to close.
   */
  redis: RedisOption;
  /** A DSN, a `pg` pool configuration, or a `pg.Pool`, which stays yours to close. */
  postgres: PostgresOption;
  /** Default `checkpoint-writes`. */
  queue?: string;
  /** BullMQ's key prefix. Default `bull`; a Redis Cluster needs a hash tag in it, such as `{ckpt}`. */
  prefix?: string;
  /** Default `public`. */
  schema?: string;
  /** Default `checkpoints`. */
  table?: string;
  /** Partitions the checkpoint table by `timestamp` where it is created here. Default: a plain table. One that is there stays as it is. */
  partitionBy?: Period | undefined;
  /** Default: silent. */
  logger?: Logger;
  /**
   * BullMQ's interface to OpenTelemetry: `new BullMQOtel({ tracerName })` of the package `bullmq-otel`. The trace of a save goes on in the
   * worker up to its commit; of saves that left in one chunk, that of the first. Default: none.
   */
  telemetry?: Telemetry;
}

export const PIPELINE_OPTIONS = {
  redis: true,
  postgres: true,
  queue: true,
  prefix: true,
  schema: true,
  table: true,
  partitionBy: true,
  logger: true,
  telemetry: true,
} satisfies KnownKeys<PipelineOptions>;

/** The part of the options that says where. */
export function pipelineOf(options: PipelineOptions): PipelineOptions {
  return pickKnown(options, PIPELINE_OPTIONS);
}
