import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { percentile } from '../latencies.js';
import type { Place } from '../place.js';
import type { Cell } from './cells.js';
import { Child } from './child.js';
import type { RatesAddress } from './methods.js';
import { treeCpuUs } from './proc.js';
import type { FromProducer, ProducerOrder, RunSummary, ToProducer } from './producer-protocol.js';
import type { FromProxy, ToProxy } from './proxy.js';
import type { RatesServers } from './servers.js';
import { committed, type WorkerProcess, withWorkerProcess } from './worker.js';

const WARM_UP_MS = 1000;
/** From the order to its start: the processes have to receive it. */
const LEAD_MS = 100;
/** Of all producers together. More would measure their memory. */
const MAX_IN_FLIGHT = 10_000;
/** Saves in flight when the window ends, and then the queue, have this long each. */
const DRAIN_MS = 30_000;
/** A method that acknowledges less than this share of the due saves in the window does not keep up. */
const KEEPS_UP_SHARE = 0.95;
/** A save may be on its way when the window ends: that alone is no backlog. */
const ON_THE_WAY_MS = 200;

/** Microseconds of CPU for each acknowledged save; the worker only where there is one. */
export interface CpuPerSave {
  readonly producer: number;
  readonly worker?: number;
  readonly redis: number;
  readonly postgres: number;
  readonly total: number;
}

export interface CellResult extends Cell {
  readonly saves: number;
  readonly failed: number;
  /** Acknowledged within the window, a second. */
  readonly achievedPerSecond: number;
  /** Due in the window and not acknowledged when it ended. */
  readonly backlog: number;
  readonly keepsUp: boolean;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly cpuUs: CpuPerSave;
  /** From the end of the window until all saves were committed; undefined: not in time. */
  readonly committedAfterMs?: number;
}

type Producer = Child<ToProducer, FromProducer>;
type Proxy = Child<ToProxy, FromProxy>;

export interface Bench {
  readonly compiled: string;
  readonly servers: RatesServers;
  readonly place: Place;
  readonly signal: AbortSignal;
}

export async function measureCell(bench: Bench, cell: Cell): Promise<CellResult> {
  const { place, servers, compiled, signal } = bench;
  await place.clear();
  const address = { ...place.address, saverSchema: place.saverSchema };
  if (cell.roundTripMs === undefined) return withWorkerOf(bench, cell, address);
  const program = join(compiled, 'rates', 'proxy.js');
  return Child.use<ToProxy, FromProxy, CellResult>(
    'proxy',
    { program, args: [servers.databaseUrl] },
    async (proxy) => {
      const { url } = await proxy.receive('ready', signal);
      proxy.send({ type: 'round-trip', ms: cell.roundTripMs ?? 0 });
      return withWorkerOf(bench, cell, { ...address, databaseUrl: url }, proxy);
    },
  );
}

function withWorkerOf(bench: Bench, cell: Cell, address: RatesAddress, proxy?: Proxy): Promise<CellResult> {
  const use = (worker?: WorkerProcess) =>
    withProducers(bench, cell, address, (producers) => measure(bench, cell, { producers, worker, proxy }));
  return cell.method === 'queued'
    ? withWorkerProcess(bench.compiled, address, bench.signal, use)
    : use(undefined);
}

function withProducers<T>(
  { compiled, signal }: Bench,
  { method, stateBytes, perSecond, producers: count }: Cell,
  address: RatesAddress,
  use: (producers: readonly Producer[]) => Promise<T>,
): Promise<T> {
  const program = join(compiled, 'rates', 'producer.js');
  const maxInFlight = MAX_IN_FLIGHT / count;
  const lend = (ready: readonly Promise<Producer>[]): Promise<T> => {
    if (ready.length === count) return Promise.all(ready).then(use);
    const order: ProducerOrder = {
      ...{ method, address, stateBytes, perSecond, maxInFlight },
      ...{ producers: count, producer: ready.length },
    };
    return Child.use<ToProducer, FromProducer, T>(
      'producer',
      { program, args: [JSON.stringify(order)] },
      (child) => {
        const started = child.receive('ready', signal).then(() => child);
        started.catch(() => {}); // awaited when all are forked
        return lend([...ready, started]);
      },
    );
  };
  return lend([]);
}

interface Processes {
  readonly producers: readonly Producer[];
  readonly worker: WorkerProcess | undefined;
  readonly proxy: Proxy | undefined;
}

async function measure(bench: Bench, cell: Cell, processes: Processes): Promise<CellResult> {
  const { servers, signal } = bench;
  const { producers, worker, proxy } = processes;
  const drain = { withinMs: DRAIN_MS, signal };
  const warmedUp = sum(await run(producers, WARM_UP_MS, signal), ({ acknowledged }) => acknowledged);
  if (worker) await committed(worker, warmedUp, drain);

  const cpu = () => ({
    producer: producers.reduce((us, { pid }) => us + treeCpuUs(pid), 0),
    worker: worker ? treeCpuUs(worker.pid) : 0,
    redis: treeCpuUs(servers.redisPid),
    postgres: treeCpuUs(servers.postmasterPid),
  });
  const before = cpu();
  const startAt = Date.now() + LEAD_MS;
  const running = run(producers, cell.windowMs, signal, startAt);
  running.catch(() => {}); // awaited below
  if (proxy && cell.stallMs !== undefined) await stall(proxy, cell.windowMs, cell.stallMs, signal);
  const summaries = await running;
  const saves = sum(summaries, ({ acknowledged }) => acknowledged);
  const acknowledgedAt = Math.max(...summaries.map(({ lastAt }) => lastAt));
  const unanswered = sum(summaries, (one) => one.unanswered);
  const allAcknowledged = unanswered === 0 ? acknowledgedAt : undefined;
  const committedAt = worker ? await committed(worker, warmedUp + saves, drain) : allAcknowledged;
  const after = cpu();

  const due = sum(summaries, (one) => one.due);
  const inTime = sum(summaries, (one) => one.inTime);
  const latencies = await latenciesOf(producers, signal);
  const perSave = (name: keyof typeof before) => (after[name] - before[name]) / saves;
  const [producer, redis, postgres] = [perSave('producer'), perSave('redis'), perSave('postgres')];
  const workerUs = perSave('worker');
  const onTheWay = (cell.perSecond * ON_THE_WAY_MS) / 1000;
  return {
    ...cell,
    saves,
    failed: sum(summaries, ({ failed }) => failed),
    achievedPerSecond: (inTime * 1000) / cell.windowMs,
    backlog: due - inTime,
    keepsUp: inTime >= Math.min(due * KEEPS_UP_SHARE, due - onTheWay),
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    p999Ms: percentile(latencies, 0.999),
    cpuUs: {
      producer,
      ...(worker && { worker: workerUs }),
      redis,
      postgres,
      total: producer + workerUs + redis + postgres,
    },
    ...(committedAt !== undefined && {
      committedAfterMs: Math.max(0, committedAt - startAt - cell.windowMs),
    }),
  };
}

/** Ends with an error if a producer takes far longer than its window. */
async function run(
  producers: readonly Producer[],
  windowMs: number,
  signal: AbortSignal,
  startAt = Date.now() + LEAD_MS,
): Promise<RunSummary[]> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(LEAD_MS + windowMs + DRAIN_MS)]);
  const finished = producers.map((producer) => producer.receive('finished', deadline));
  for (const producer of producers) producer.send({ type: 'run', startAt, windowMs });
  return (await Promise.all(finished)).map(({ summary }) => summary);
}

async function stall(proxy: Proxy, windowMs: number, stallMs: number, signal: AbortSignal): Promise<void> {
  await delay(LEAD_MS + windowMs / 4, undefined, { signal });
  proxy.send({ type: 'stall' });
  await delay(stallMs, undefined, { signal });
  proxy.send({ type: 'resume' });
}

async function latenciesOf(producers: readonly Producer[], signal: AbortSignal): Promise<Float64Array> {
  const all: number[][] = [];
  for (const producer of producers) {
    const answer = producer.receive('latencies', signal);
    producer.send({ type: 'latencies' });
    all.push((await answer).latencies);
  }
  return Float64Array.from(all.flat()).sort();
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

/** Microseconds of CPU a second of a worker, Redis and PostgreSQL without any save. */
export async function measureIdle(
  { compiled, place, servers, signal }: Bench,
  forMs: number,
): Promise<{ worker: number; redis: number; postgres: number }> {
  await place.clear();
  return withWorkerProcess(compiled, place.address, signal, async (worker) => {
    await delay(WARM_UP_MS, undefined, { signal });
    const cpu = () => [worker.pid, servers.redisPid, servers.postmasterPid].map(treeCpuUs);
    const before = cpu();
    await delay(forMs, undefined, { signal });
    const [workerUs = 0, redis = 0, postgres = 0] = cpu().map(
      (us, index) => ((us - (before[index] as number)) * 1000) / forMs,
    );
    return { worker: workerUs, redis, postgres };
  });
}
