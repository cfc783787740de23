import { setTimeout as delay } from 'node:timers/promises';
import type { DemoLoad, Verification } from './demo-load.js';
import {
  assertRedisAnswers,
  type DemoPlace,
  type DemoServices,
  newPlace,
  removePlace,
} from './demo-place.js';
import { type DemoProgress, demoProgress } from './progress.js';
import { WorkerReplicas } from './worker-replicas.js';

export interface DemoOptions {
  services: DemoServices;
  openLoad: (services: DemoServices, place: DemoPlace) => DemoLoad;
  workers: number;
  /** Leave the schema and the queue where they are. */
  keep: boolean;
  quiet: boolean;
  signal: AbortSignal;
}

/** What `ckpt demo --json` prints. */
export interface DemoResult {
  agents: number;
  workers: number;
  saves: number;
  acknowledged: number;
  /** Saves whose transaction is committed; of these, `superseded` gave way to a newer save of the same id. */
  committed: number;
  superseded: number;
  /** As `Verification`; null after Ctrl-C, when nothing was compared. */
  missing: Verification['missing'] | null;
  stale: Verification['stale'] | null;
  threadsRight?: number;
  threadsWrong?: number;
  saveLatencyMs: { p50: number; p99: number };
  committedPerSecond: number;
  batches: number;
  meanBatchRecords: number;
  durationMs: number;
  /** True after Ctrl-C: the figures are those of the part that ran. */
  interrupted: boolean;
  schema: string;
  queue: string;
}

const POLL_MS = 200;

/** Runs the agents against workers in processes of their own, then reads everything back and compares. */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { services, openLoad, workers, keep, quiet, signal } = options;
  const place = newPlace();
  await assertRedisAnswers(services, place);
  const replicas = new WorkerReplicas();
  const load = openLoad(services, place);
  const progress = demoProgress(load.saves, quiet);
  try {
    await load.prepare();
    await replicas.start(workers, {
      DATABASE_URL: services.databaseUrl,
      REDIS_URL: services.redisUrl,
      CKPT_QUEUE: place.queue,
      CKPT_PREFIX: '',
      CKPT_LOG_LEVEL: 'warn',
      ...load.workerSettings,
    });
    return { ...(await demonstrate(load, replicas, progress, signal)), workers, ...place };
  } finally {
    progress.stop();
    await load.close();
    await replicas.stop();
    if (!keep) await removePlace(services, place);
  }
}

async function demonstrate(
  load: DemoLoad,
  replicas: WorkerReplicas,
  progress: DemoProgress,
  signal: AbortSignal,
): Promise<Omit<DemoResult, 'workers' | keyof DemoPlace>> {
  const latencies: number[] = [];
  const written = () => replicas.stats.committed + replicas.stats.superseded + replicas.stats.deleted;
  const watching = new AbortController();
  const watch = watchReplicas(replicas, () => progress.update(latencies.length, written()), watching.signal);
  const began = performance.now();
  let committedAt: number;
  let flushed = false;
  try {
    await load.run((latencyMs) => latencies.push(latencyMs), signal);
    const pointless = AbortSignal.any([signal, replicas.allGone]);
    await unless(
      pointless,
      load.flush().then(() => {
        flushed = true;
      }),
    );
    committedAt = performance.now();
    await statsAfter(replicas, latencies.length, written, pointless);
    progress.update(latencies.length, written());
  } finally {
    watching.abort();
    await watch;
  }
  progress.verifying(load.executions);
  const verification = signal.aborted
    ? { missing: null, stale: null }
    : await load.verify(() => progress.verified(), signal);
  const { batches, records, superseded } = replicas.stats;
  // A worker that was killed has told less than it wrote, and what was redelivered was written twice.
  const committed = flushed ? latencies.length : Math.min(records, latencies.length);
  latencies.sort((a, b) => a - b);
  return {
    agents: load.agents,
    saves: load.saves,
    acknowledged: latencies.length,
    committed,
    superseded,
    ...verification,
    saveLatencyMs: { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) },
    committedPerSecond: Math.round(committed / ((committedAt - began) / 1000)),
    batches,
    meanBatchRecords: batches === 0 ? 0 : Math.round(records / batches),
    durationMs: Math.round(performance.now() - began),
    interrupted: signal.aborted,
  };
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

/** Waits for the work, or until it has become pointless. */
async function unless(signal: AbortSignal, work: Promise<void>): Promise<void> {
  const aborted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.race([work, aborted]);
}

/** Of sorted values; in milliseconds with two decimals. */
function percentile(sorted: readonly number[], share: number): number {
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
  return Math.round(value * 100) / 100;
}
