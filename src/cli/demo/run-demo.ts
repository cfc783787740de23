import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { Database } from '../../postgres/database.js';
import { tableNames } from '../../postgres/identifiers.js';
import { RedisConnection } from '../../redis/connection.js';
import { queueKeys } from '../../redis/queue-keys.js';
import type { LocalServices } from '../../services/local-services.js';
import { QueuedCheckpointStore } from '../../store/queued-store.js';
import { Oracle, type Verification } from './oracle.js';
import { type DemoProgress, demoProgress } from './progress.js';
import { WorkerReplicas } from './worker-replicas.js';
import type { AgentRun } from './workload.js';

export interface DemoOptions {
  services: Pick<LocalServices, 'databaseUrl' | 'redisUrl'>;
  agents: AgentRun[];
  workers: number;
  /** Leave the schema and the queue where they are. */
  keep: boolean;
  quiet: boolean;
  signal: AbortSignal;
}

/** What `ckpt demo --json` prints. */
export interface DemoResult extends Verification {
  agents: number;
  workers: number;
  saves: number;
  acknowledged: number;
  /** Saves whose transaction is committed; of these, `superseded` gave way to a newer save of the same id. */
  committed: number;
  superseded: number;
  saveLatencyMs: { p50: number; p99: number };
  committedPerSecond: number;
  batches: number;
  meanBatchRecords: number;
  durationMs: number;
  /** True after Ctrl-C: the figures are those of the part that ran, and nothing was verified. */
  interrupted: boolean;
  schema: string;
  queue: string;
}

const POLL_MS = 200;

/** Runs the agents against workers in processes of their own, then reads everything back and compares. */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { services, agents, workers, keep, quiet, signal } = options;
  const suffix = randomBytes(4).toString('hex');
  const place = { queue: `demo-${suffix}`, schema: `ckpt_demo_${suffix}` };
  const replicas = new WorkerReplicas();
  const store = new QueuedCheckpointStore({
    redis: services.redisUrl,
    postgres: services.databaseUrl,
    ...place,
    onQueueFull: 'wait',
  });
  const progress = demoProgress(sumOfSaves(agents), quiet);
  try {
    await store.initSchema();
    await replicas.start(workers, {
      DATABASE_URL: services.databaseUrl,
      REDIS_URL: services.redisUrl,
      CKPT_QUEUE: place.queue,
      CKPT_SCHEMA: place.schema,
      CKPT_PREFIX: '',
      CKPT_TABLE: '',
      CKPT_LOG_LEVEL: 'warn',
    });
    return await demonstrate(store, replicas, progress, { agents, workers, signal, place });
  } finally {
    progress.stop();
    await store.close();
    await replicas.stop();
    if (!keep) await removePlace(services, place);
  }
}

async function demonstrate(
  store: QueuedCheckpointStore,
  replicas: WorkerReplicas,
  progress: DemoProgress,
  { agents, workers, signal, place }: Pick<DemoOptions, 'agents' | 'workers' | 'signal'> & { place: Place },
): Promise<DemoResult> {
  const oracle = new Oracle();
  const latencies: number[] = [];
  const written = () => replicas.stats.committed + replicas.stats.superseded + replicas.stats.deleted;
  const watching = new AbortController();
  const watch = watchReplicas(replicas, () => progress.update(latencies.length, written()), watching.signal);
  const began = performance.now();
  let committedAt: number;
  try {
    await Promise.all(agents.map((agent) => runAgent(agent, { store, oracle, latencies, signal })));
    if (!signal.aborted) await interruptible(store.flush(), signal);
    committedAt = performance.now();
    await statsAfter(replicas, latencies.length, written, signal);
    progress.update(latencies.length, written());
  } finally {
    watching.abort();
    await watch;
  }
  progress.verifying(oracle.executions);
  const verification = signal.aborted
    ? { missing: 0, stale: 0 }
    : await oracle.verify(store, () => progress.verified(), signal);
  const { batches, records, superseded } = replicas.stats;
  latencies.sort((a, b) => a - b);
  return {
    agents: agents.length,
    workers,
    saves: sumOfSaves(agents),
    acknowledged: latencies.length,
    committed: records,
    superseded,
    ...verification,
    saveLatencyMs: { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) },
    committedPerSecond: Math.round(records / ((committedAt - began) / 1000)),
    batches,
    meanBatchRecords: batches === 0 ? 0 : Math.round(records / batches),
    durationMs: Math.round(performance.now() - began),
    interrupted: signal.aborted,
    ...place,
  };
}

interface Place {
  queue: string;
  schema: string;
}

/** One agent: saves after every step, and goes on when the save is acknowledged. */
async function runAgent(
  agent: AgentRun,
  {
    store,
    oracle,
    latencies,
    signal,
  }: { store: QueuedCheckpointStore; oracle: Oracle; latencies: number[]; signal: AbortSignal },
): Promise<void> {
  for (const step of agent.steps()) {
    if (signal.aborted) return;
    const began = performance.now();
    await store.save(step);
    latencies.push(performance.now() - began);
    oracle.acknowledged(step as Parameters<Oracle['acknowledged']>[0]);
  }
}

async function watchReplicas(
  replicas: WorkerReplicas,
  onStats: () => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    replicas.askForStats();
    onStats();
    await delay(POLL_MS, undefined, { signal }).catch(() => {});
  }
}

/** The workers tell what they have written a moment after it is committed. */
async function statsAfter(
  replicas: WorkerReplicas,
  acknowledged: number,
  written: () => number,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 0; attempt < 10 && written() < acknowledged && !signal.aborted; attempt++) {
    replicas.askForStats();
    await delay(POLL_MS / 4);
  }
}

async function interruptible(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const interrupted = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.race([work, interrupted]);
}

async function removePlace(services: DemoOptions['services'], { queue, schema }: Place): Promise<void> {
  const database = new Database(services.databaseUrl);
  const connection = new RedisConnection(services.redisUrl, 'worker');
  const bull = new Queue(queue, { connection: connection.client });
  try {
    await database.query(`DROP SCHEMA IF EXISTS ${tableNames({ schema }).quotedSchema} CASCADE`);
    await bull.obliterate({ force: true });
    const { jobPrefix } = queueKeys({ queue });
    const left = await connection.client.keys(`${jobPrefix}*`);
    if (left.length > 0) await connection.client.unlink(left);
  } finally {
    await bull.close();
    connection.close();
    await database.close();
  }
}

function sumOfSaves(agents: readonly AgentRun[]): number {
  return agents.reduce((sum, { saves }) => sum + saves, 0);
}

/** Of sorted values; in milliseconds with two decimals. */
function percentile(sorted: readonly number[], share: number): number {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return Math.round(value * 100) / 100;
}
