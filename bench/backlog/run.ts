import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Place } from '../place.js';
import type { WorkerHandle } from '../workers/handle.js';
import { withWorker } from '../workers/with-worker.js';
import { compileBench } from './compiled.js';
import { fillQueue } from './producer.js';
import { Series } from './series.js';

export const BACKLOG_STATE_BYTES = 1024;
const SAMPLE_MS = 50;

export interface BacklogRun {
  readonly place: Place;
  readonly saves: number;
  readonly signal: AbortSignal;
  readonly onProgress: (message: string) => void;
}

export interface Backlog {
  readonly saves: number;
  readonly producer: Series;
  readonly worker: Series;
  /** Redis' memory in bytes, before, with the whole backlog, and when it is drained. */
  readonly redis: { readonly before: number; readonly full: number; readonly drained: number };
  /** Saves acknowledged a second while the queue filled. */
  readonly fillRate: number;
}

/** A queue that fills while no worker runs, as in a long outage, and is then drained by one. */
export async function runBacklog({ place, saves, signal, onProgress }: BacklogRun): Promise<Backlog> {
  await place.clear();
  const { address } = place;
  const before = await place.redisMemory();
  const producer = new Series();
  onProgress('compiling what the processes run');
  const compiled = await compileBench(signal);
  onProgress(`a producer fills the queue with ${saves} saves`);
  await fillQueue(
    join(compiled, 'backlog', 'producer.js'),
    { address, saves, stateBytes: BACKLOG_STATE_BYTES },
    (sample) => producer.add(sample),
    signal,
  );
  const full = await place.redisMemory();
  onProgress('a worker drains it');
  const worker = await drain(join(compiled, 'workers', 'process.js'), { place, saves, signal });
  await place.expectRows(address.schema, 'checkpoints', saves);
  const drained = await place.redisMemory();
  const [first, last] = [producer.samples[0], producer.samples.at(-1)];
  const fillRate = (saves / ((last?.at ?? 0) - (first?.at ?? 0))) * 1000;
  return { saves, producer, worker, redis: { before, full, drained }, fillRate };
}

async function drain(
  program: string,
  { place, saves, signal }: Omit<BacklogRun, 'onProgress'>,
): Promise<Series> {
  const use = async (worker: WorkerHandle) => {
    const series = new Series();
    await worker.start(place.address);
    const sampled = new AbortController();
    const sampling = (async () => {
      let seen = 0;
      while (!sampled.signal.aborted) {
        const { commits, rss } = worker.progress;
        if (commits.handled > seen) series.add({ at: commits.lastAt, done: commits.handled, rss });
        seen = commits.handled;
        await delay(SAMPLE_MS);
      }
    })();
    try {
      await worker.handled(saves, signal);
    } finally {
      sampled.abort();
      await sampling;
    }
    const { commits, rss } = worker.progress;
    series.add({ at: commits.lastAt, done: commits.handled, rss });
    return series;
  };
  return withWorker('pipeline', use, program);
}
