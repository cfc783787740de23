import { z } from 'zod';
import { MAX_VERSION } from './checkpoint.js';
import { DURATION_FORM, parseDuration } from './duration.js';
import { InvalidConfigError } from './errors.js';
import { parseDsn } from './postgres/dsn.js';
import { DEFAULT_GRAPH_SCHEMA, graphTableNames } from './postgres/graph-tables.js';
import { PERIODS, tableNames } from './postgres/identifiers.js';
import { DEFAULT_LIMITS } from './producer/limits.js';
import { DEFAULT_PREFIX, DEFAULT_QUEUE, queueKeys } from './redis/queue-keys.js';
import { checkedUrl } from './redis/redis-url.js';
import { DEFAULT_EVERY, scheduleOf } from './retention/retention-options.js';
import {
  LOCK_DURATION_MS,
  MAX_BATCH_RECORDS,
  MAX_TOMBSTONE_DAYS,
  WRITER_DEFAULTS,
} from './writer/writer-options.js';

/** One setting of the product. */
export interface Setting<T> {
  /** Environment variable. */
  readonly env: string;
  readonly schema: z.ZodType<T>;
  readonly default: T;
  readonly meaning: string;
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** Every setting once: its variable, check, default and meaning. `ckpt config` and the README's table come from here. */
export const SETTINGS = {
  redis: setting(
    'REDIS_URL',
    valid((text) => checkedUrl(text)),
    undefined,
    'Redis, as `redis://host:6379`; a Cluster as `redis-cluster://host1:6379,host2:6379`; Sentinels as `redis-sentinel://host1:26379,host2:26379/0?master=mymaster`',
  ),
  postgres: setting(
    'DATABASE_URL',
    valid(parseDsn),
    undefined,
    'PostgreSQL, as `postgresql://user:password@host/db`',
  ),
  readPostgres: setting(
    'CKPT_READ_DATABASE_URL',
    valid((text) => parseDsn(text)),
    undefined,
    'a read replica of it, for `load`, `list` and `latest` of what is committed; not set: none',
  ),
  queue: setting(
    'CKPT_QUEUE',
    valid((queue) => queueKeys({ queue })),
    DEFAULT_QUEUE,
    'BullMQ queue',
  ),
  prefix: setting(
    'CKPT_PREFIX',
    valid((prefix) => queueKeys({ prefix })),
    DEFAULT_PREFIX,
    'key prefix in Redis; for a cluster a hash tag, `{ckpt}`',
  ),
  schema: setting(
    'CKPT_SCHEMA',
    valid((schema) => tableNames({ schema })),
    'public',
    'schema of the tables; any name that PostgreSQL takes in quotes, of up to 63 bytes',
  ),
  table: setting(
    'CKPT_TABLE',
    valid((table) => tableNames({ table })),
    'checkpoints',
    'name of the checkpoint table, of up to 52 bytes: those beside it have longer ones',
  ),
  partitionBy: setting(
    'CKPT_PARTITION_BY',
    z.enum(PERIODS),
    undefined,
    'partitions of the checkpoint table, where it is created: `month` or `day`; not set: none',
  ),
  graphSchema: setting(
    'CKPT_LANGGRAPH_SCHEMA',
    valid((schema) => graphTableNames(schema)),
    DEFAULT_GRAPH_SCHEMA,
    'PostgreSQL schema of the tables of the LangGraph checkpointer',
  ),
  logLevel: setting(
    'CKPT_LOG_LEVEL',
    z.enum(LOG_LEVELS),
    'info',
    `log of the worker: ${LOG_LEVELS.join(', ')}`,
  ),
  httpPort: setting(
    'CKPT_HTTP_PORT',
    whole(1, 65_535),
    undefined,
    'port at which the worker serves `/healthz`, `/readyz` and `/metrics`; not set: nowhere',
  ),
  httpHost: setting(
    'CKPT_HTTP_HOST',
    z.string().regex(/^[\w.:%-]+$/, 'must be a host name or an address'),
    '127.0.0.1',
    'address at which it does; in a container `0.0.0.0`',
  ),
  dashboard: setting(
    'CKPT_DASHBOARD',
    flag(),
    false,
    'whether the worker serves the dashboard at that port too: `true` or `false`',
  ),
  dashboardToken: setting(
    'CKPT_DASHBOARD_TOKEN',
    z.string().regex(/^[!-~]{16,512}$/, 'must have 16 to 512 characters of ASCII, without spaces'),
    undefined,
    'what has to be known to use the dashboard; must be set where other machines can reach it',
  ),
  otel: setting(
    'CKPT_OTEL',
    flag(),
    false,
    'whether the worker continues OpenTelemetry traces: `true` or `false`; needs the package bullmq-otel',
  ),
  shutdownDeadlineMs: setting(
    'CKPT_SHUTDOWN_DEADLINE_MS',
    whole(0, 3_600_000),
    10_000,
    'a stopping worker commits what it has until then; the rest goes back to the queue',
  ),
  concurrency: setting(
    'CKPT_CONCURRENCY',
    whole(1, 1000),
    WRITER_DEFAULTS.concurrency,
    'chunks in a worker’s hands at once; bounds its memory',
  ),
  maxBatchRecords: setting(
    'CKPT_BATCH_RECORDS',
    whole(1, MAX_BATCH_RECORDS),
    WRITER_DEFAULTS.maxBatchRecords,
    'records at which a batch is closed',
  ),
  maxBatchBytes: setting(
    'CKPT_BATCH_BYTES',
    whole(1, 2 ** 29),
    WRITER_DEFAULTS.maxBatchBytes,
    'bytes at which a batch is closed',
  ),
  lingerMs: setting(
    'CKPT_LINGER_MS',
    whole(0, 60_000),
    WRITER_DEFAULTS.lingerMs,
    'how long a batch that is not full waits for more',
  ),
  maxConcurrentBatches: setting(
    'CKPT_MAX_CONCURRENT_BATCHES',
    whole(1, 64),
    WRITER_DEFAULTS.maxConcurrentBatches,
    'transactions in flight in a worker',
  ),
  lockDurationMs: setting(
    'CKPT_LOCK_DURATION_MS',
    whole(LOCK_DURATION_MS.min, LOCK_DURATION_MS.max),
    WRITER_DEFAULTS.lockDurationMs,
    'a worker that gives no sign of life so long loses its jobs to the others',
  ),
  tombstoneDays: setting(
    'CKPT_TOMBSTONE_DAYS',
    whole(1, MAX_TOMBSTONE_DAYS),
    WRITER_DEFAULTS.tombstoneDays,
    'days that a delete is remembered, at least: what was saved before it cannot come back',
  ),
  retentionKeepLast: setting(
    'CKPT_RETENTION_KEEP_LAST',
    whole(1, MAX_VERSION),
    undefined,
    'workers remove checkpoints, but for the newest so many of each execution',
  ),
  retentionOlderThan: setting(
    'CKPT_RETENTION_OLDER_THAN',
    valid(duration),
    undefined,
    'workers remove checkpoints whose timestamp is longer ago, `30d` say; with both, what meets both',
  ),
  retentionDeadLettersOlderThan: setting(
    'CKPT_RETENTION_DEAD_LETTERS_OLDER_THAN',
    valid(duration),
    undefined,
    'workers give up dead letters that were last refused longer ago; not set: never',
  ),
  retentionEvery: setting(
    'CKPT_RETENTION_EVERY',
    valid((every) => scheduleOf(every, '')),
    DEFAULT_EVERY,
    'how often: a duration, or a cron pattern in UTC',
  ),
  enqueueTimeoutMs: setting(
    'CKPT_ENQUEUE_TIMEOUT_MS',
    whole(1, 300_000),
    DEFAULT_LIMITS.enqueueTimeoutMs,
    'a save is acknowledged, or fails, within this time',
  ),
  maxChunkRecords: setting(
    'CKPT_CHUNK_RECORDS',
    whole(1, 1000),
    DEFAULT_LIMITS.maxChunkRecords,
    'records in one job, at most',
  ),
  maxChunkBytes: setting(
    'CKPT_CHUNK_BYTES',
    whole(1, 2 ** 29),
    DEFAULT_LIMITS.maxChunkBytes,
    'bytes at which a chunk is closed',
  ),
  maxPendingBytes: setting(
    'CKPT_MAX_PENDING_BYTES',
    whole(1, 2 ** 40),
    DEFAULT_LIMITS.maxPendingBytes,
    'memory of a producer for saves that Redis has not taken',
  ),
  maxQueueDepth: setting(
    'CKPT_MAX_QUEUE_DEPTH',
    whole(0, 2 ** 40),
    DEFAULT_LIMITS.maxQueueDepth,
    'jobs in the queue that are not done, at most; 0: no limit',
  ),
  onQueueFull: setting(
    'CKPT_ON_QUEUE_FULL',
    z.enum(['reject', 'wait']),
    DEFAULT_LIMITS.onQueueFull,
    'at that depth: `reject` or `wait`',
  ),
  ackReplicas: setting(
    'CKPT_ACK_REPLICAS',
    whole(0, 100),
    DEFAULT_LIMITS.ackReplicas,
    'replicas of Redis that must have confirmed a save before it is acknowledged',
  ),
  onQueueUnavailable: setting(
    'CKPT_ON_QUEUE_UNAVAILABLE',
    z.enum(['reject', 'write-through']),
    'reject',
    'without Redis: `reject`, or `write-through` to PostgreSQL',
  ),
  maxQueuedBytes: setting(
    'CKPT_MAX_QUEUED_BYTES',
    whole(1, 2 ** 29),
    1024 * 1024,
    'a larger checkpoint goes straight to PostgreSQL',
  ),
};

function setting<T>(env: string, schema: z.ZodType<T>, fallback: T, meaning: string): Setting<T>;
function setting<T>(
  env: string,
  schema: z.ZodType<T>,
  fallback: undefined,
  meaning: string,
): Setting<T | undefined>;
function setting<T>(env: string, schema: z.ZodType<T>, fallback: T | undefined, meaning: string) {
  return { env, schema, default: fallback, meaning };
}

function whole(minimum: number, maximum: number): z.ZodType<number> {
  const message = `must be a whole number from ${minimum} to ${maximum}`;
  return z
    .string()
    .regex(/^\d+$/, message)
    .transform(Number)
    .refine((value) => value >= minimum && value <= maximum, message) as unknown as z.ZodType<number>;
}

function flag(): z.ZodType<boolean> {
  return z
    .enum(['true', 'false'], 'must be true or false')
    .transform((text) => text === 'true') as unknown as z.ZodType<boolean>;
}

/** @throws InvalidConfigError */
function duration(text: string): void {
  if (parseDuration(text) === undefined) throw new InvalidConfigError('', `must be ${DURATION_FORM}`);
}

/** Text that a function of ours accepts; its error's words become the problem, without the field it would name. */
function valid(check: (text: string) => unknown): z.ZodType<string> {
  return z.string().superRefine((text, context) => {
    try {
      check(text);
    } catch (error) {
      if (!(error instanceof InvalidConfigError)) throw error;
      // Of `postgres: pool_max_conns` the parameter is told: the variable is named anyway.
      const [, parameter] = error.field.split(': ');
      context.addIssue({
        code: 'custom',
        message: parameter ? `${parameter} ${error.problem}` : error.problem,
      });
    }
  });
}
