import type pg from 'pg';
import type { ConnectedConfig } from '../config.js';
import { boundedPool } from '../postgres/bounded-pool.js';
import { Database } from '../postgres/database.js';
import { parseDsn } from '../postgres/dsn.js';
import { graphTableNames } from '../postgres/graph-tables.js';
import { tableNames } from '../postgres/identifiers.js';
import { RedisConnection } from '../redis/connection.js';
import { settlesWithin } from '../redis/deadline.js';
import { queueKeys } from '../redis/queue-keys.js';
import { readQueueStats } from '../redis/queue-stats.js';
import { connectToPostgres, connectToRedis, openRedis } from './connections.js';
import { type Check, error, type Finding, warning } from './finding.js';
import { lookAt, lookAtAll, reasonOf } from './look.js';
import { lookAtPartitions } from './partition-checks.js';
import { probePipeline } from './pipeline-probe.js';
import { POSTGRES_CHECKS, type PostgresSubject } from './postgres-checks.js';
import {
  GRAPH_PRIVILEGE_CHECK,
  PRIVILEGE_CHECKS,
  REPLICA_PRIVILEGE_CHECK,
  TABLE_PRIVILEGE_CHECKS,
} from './privilege-checks.js';
import { QUEUE_CHECKS, type QueueSubject } from './queue-checks.js';
import { REDIS_CHECKS, type RedisSubject } from './redis-checks.js';
import { REPLICA_CHECK } from './replica-check.js';
import { RULE_CHECKS } from './rule-checks.js';
import { SEQUENCE_CHECK } from './sequence-check.js';
import { SESSION_CHECKS } from './session-checks.js';
import { CHECKPOINT_TABLE_CHECKS, ownTables, TABLE_CHECKS, type TableSubject } from './table-checks.js';
import { lookAtFamilies } from './table-families.js';

/** pg's own, where the DSN says nothing. */
const PG_POOL_IDLE_MS = 10_000;
/** What is asked of PostgreSQL at once. */
const POOL_SIZE = 3;
/** The probe saves, waits for the commit and cleans up, each in the time of one check. */
const PROBE_STEPS = 3;
/** For a server that answers nothing while its connection is closed. */
const CLOSE_MS = 1000;

/** What is known of the queue: undefined where Redis, or this question, was not answered. */
type QueueLook = { findings: Finding[]; subject?: QueueSubject };

/**
 * Looks at Redis, PostgreSQL and the queue between them, and sends a checkpoint the whole way. Changes nothing but that. What
 * fails is a finding and hides no other; nothing takes longer than `timeoutMs`, the probe three times that.
 */
export async function diagnose(config: ConnectedConfig, timeoutMs: number): Promise<Finding[]> {
  const redis = openRedis(config.redis, timeoutMs);
  const database = new Database(doctorsPool(config, timeoutMs), { anyEncoding: true });
  try {
    const [ofRedis, postgres] = await Promise.all([connectToRedis(redis), connectToPostgres(database)]);
    const queue = ofRedis.subject ? await lookAtQueue(config, ofRedis.subject, timeoutMs) : { findings: [] };
    const ofPostgres = postgres.reached
      ? await lookAtPostgres(config, database, queue, timeoutMs)
      : { findings: [], ours: false };
    const findings = [
      { check: 'redis.connection', ...ofRedis.verdict },
      ...(ofRedis.subject ? await lookAtAll(REDIS_CHECKS, ofRedis.subject, timeoutMs) : []),
      { check: 'postgres.connection', ...postgres.verdict },
      ...ofPostgres.findings,
      ...(postgres.reached ? await lookAtReplica(config, database, timeoutMs) : []),
      ...queue.findings,
      ...(ofPostgres.ours ? await lookAtSequences(config, database, queue, timeoutMs) : []),
    ];
    return [...findings, await lookAtPipeline(config, queue, findings, timeoutMs)];
  } finally {
    // One that has ended would be held open for two seconds more, by the timer that is to end it.
    if (redis.status !== 'end') redis.disconnect();
    await settlesWithin(database.close(), CLOSE_MS);
  }
}

function doctorsPool({ postgres }: ConnectedConfig, timeoutMs: number): pg.PoolConfig {
  return boundedPool(postgres, { name: 'checkpoint-queue doctor', max: POOL_SIZE, timeoutMs });
}

async function lookAtQueue(
  config: ConnectedConfig,
  { client }: RedisSubject,
  timeoutMs: number,
): Promise<QueueLook> {
  const keys = queueKeys(config);
  try {
    const stats = await readQueueStats(new RedisConnection(client, keys, 'commands'), keys);
    const subject = { client, keys, stats, maxQueueDepth: config.maxQueueDepth };
    return { findings: await lookAtAll(QUEUE_CHECKS, subject, timeoutMs), subject };
  } catch (cause) {
    const verdict = error(`not known: ${reasonOf(cause)}`, 'Fix that first, then run the doctor again.');
    return { findings: [{ check: 'queue', ...verdict }] };
  }
}

/** @returns also whether no table belongs to another program */
async function lookAtPostgres(
  config: ConnectedConfig,
  database: Database,
  { subject: queue }: QueueLook,
  timeoutMs: number,
): Promise<{ findings: Finding[]; ours: boolean }> {
  const dsn = parseDsn(config.postgres);
  const subject: PostgresSubject = {
    database,
    names: tableNames(config),
    graph: graphTableNames(config.graphSchema),
    // As `CheckpointWriter` opens it: one for each batch in flight, and one for maintenance.
    workerPool: dsn.max ?? config.maxConcurrentBatches + 1,
    poolIdleMs: dsn.idleTimeoutMillis ?? PG_POOL_IDLE_MS,
    workers: queue?.stats.workers.length,
  };
  const [ofServer, { findings, families }] = await Promise.all([
    lookAtAll([...POSTGRES_CHECKS, ...SESSION_CHECKS], subject, timeoutMs),
    lookAtFamilies(subject, timeoutMs),
  ]);
  const { checkpoints, graph } = families;
  const tables = ownTables(subject, families);
  const checks: Check<TableSubject>[] = [
    ...(checkpoints.own ? CHECKPOINT_TABLE_CHECKS : []),
    ...TABLE_CHECKS,
    ...(checkpoints.own ? RULE_CHECKS : []),
    ...PRIVILEGE_CHECKS,
    ...(checkpoints.foreign ? [] : TABLE_PRIVILEGE_CHECKS),
    ...(graph.foreign ? [] : [GRAPH_PRIVILEGE_CHECK]),
  ];
  const [ofTables, ofPartitions] = await Promise.all([
    lookAtAll(checks, { ...subject, families, tables }, timeoutMs),
    checkpoints.own ? lookAtPartitions(subject, timeoutMs) : [],
  ]);
  return {
    findings: [...ofServer, ...findings, ...ofTables, ...ofPartitions],
    ours: !checkpoints.foreign && !graph.foreign,
  };
}

async function lookAtSequences(
  config: ConnectedConfig,
  database: Database,
  { subject }: QueueLook,
  timeoutMs: number,
): Promise<Finding[]> {
  if (!subject) return [];
  const { client, keys } = subject;
  const connection = new RedisConnection(client, keys, 'commands');
  const [names, graph] = [tableNames(config), graphTableNames(config.graphSchema)];
  return [await lookAt(SEQUENCE_CHECK, { connection, keys, database, names, graph }, timeoutMs)];
}

async function lookAtReplica(
  config: ConnectedConfig,
  primary: Database,
  timeoutMs: number,
): Promise<Finding[]> {
  const { readPostgres } = config;
  if (readPostgres === undefined) return [];
  const replica = new Database(
    boundedPool(readPostgres, { name: 'checkpoint-queue doctor', max: 1, timeoutMs }),
    { anyEncoding: true },
  );
  try {
    return [
      await lookAt(REPLICA_CHECK, { primary, replica }, timeoutMs),
      await lookAt(REPLICA_PRIVILEGE_CHECK, { replica, names: tableNames(config) }, timeoutMs),
    ];
  } finally {
    await settlesWithin(replica.close(), CLOSE_MS);
  }
}

/** What the probe cannot do without: it would create tables, wait in vain, or leave behind what it may not remove. */
const NEEDED = [
  'redis.connection',
  'queue',
  ...['connection', 'role', 'encoding', 'schema', 'row-security'].map((check) => `postgres.${check}`),
  ...['database', 'schema', 'checkpoints', 'tombstones', 'migrations'].map((check) => `privileges.${check}`),
];

function lookAtPipeline(
  config: ConnectedConfig,
  { subject }: QueueLook,
  findings: readonly Finding[],
  timeoutMs: number,
): Promise<Finding> {
  const broken = findings.find(({ check, severity }) => severity === 'error' && NEEDED.includes(check));
  const { queue, prefix, schema, table } = config;
  const place = { queue, prefix, schema, table, redis: config.redis };
  const postgres = doctorsPool(config, timeoutMs);
  const probe: Check<typeof place> = {
    name: 'pipeline.probe',
    look: () => {
      if (broken)
        return warning(`left out: see ${broken.check}`, 'Fix that first, then run the doctor again.');
      if (subject?.stats.workers.length === 0) {
        return warning('left out: no worker would commit it', 'Start one: ckpt worker.');
      }
      return probePipeline({ ...place, postgres }, timeoutMs);
    },
  };
  return lookAt(probe, place, PROBE_STEPS * timeoutMs);
}
