import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Cluster, Redis } from 'ioredis';
import { type Destination, isSameDestination, type QueueKeys } from './queue-keys.js';
import { Script } from './script.js';

/** What a worker replica says of itself. */
export interface WorkerReport {
  /** Host, process id and a few letters, for a process may have several. */
  readonly name: string;
  /** Since when it runs; milliseconds since 1970. */
  readonly startedAt: number;
  /** `open`: it waits for PostgreSQL and takes no jobs. */
  readonly breaker: 'closed' | 'open';
  /** Since when the breaker is so; milliseconds since 1970. */
  readonly breakerSince: number;
  /** What it writes: sinks, and the table of each. Missing in reports of earlier releases. */
  readonly destinations?: readonly Destination[] | undefined;
  /** While it is open: why, and PostgreSQL's code if it gave one. */
  readonly failure?: string;
  readonly sqlState?: string;
}

/** How often a worker reports, and after how long without a report it is taken for gone; milliseconds. */
export const REPORT_INTERVAL_MS = 10_000;
const GONE_AFTER_MS = 35_000;

/** By Redis' own clock. What was not seen for so long is removed by the next report. ARGV: name, report, milliseconds. */
const REPORT = new Script(`
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f ', now) .. ARGV[2])
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if tonumber(string.match(all[i + 1], '^%d+')) < now - tonumber(ARGV[3]) then redis.call('HDEL', KEYS[1], all[i]) end
  end`);

/** Tells operators which worker replicas there are and how they are. Nothing else depends on it. */
export class WorkerRegistry {
  readonly #name = `${hostname()}:${process.pid}:${randomBytes(2).toString('hex')}`;
  readonly #startedAt = Date.now();

  constructor(
    private readonly client: Redis | Cluster,
    private readonly keys: QueueKeys,
    private readonly destinations?: readonly Destination[],
  ) {}

  async report(state: Omit<WorkerReport, 'name' | 'startedAt' | 'destinations'>): Promise<void> {
    const report: WorkerReport = {
      name: this.#name,
      startedAt: this.#startedAt,
      destinations: this.destinations,
      ...state,
    };
    await REPORT.run(this.client, [this.keys.workers], [this.#name, JSON.stringify(report), GONE_AFTER_MS]);
  }

  async leave(): Promise<void> {
    await this.client.hdel(this.keys.workers, this.#name);
  }
}

/** The replicas that have reported lately. */
export async function readWorkers(
  client: Redis | Cluster,
  keys: QueueKeys,
  nowMs: number,
): Promise<WorkerReport[]> {
  const reports = Object.values(await client.hgetall(keys.workers)).flatMap((text) => {
    const [seenAt] = text.split(' ', 1) as [string];
    const report = reportIn(text.slice(seenAt.length + 1));
    return report && nowMs - Number(seenAt) <= GONE_AFTER_MS ? [report] : [];
  });
  return reports.sort((a, b) => a.startedAt - b.startedAt);
}

/** Undefined for one that somebody has damaged: the others count all the same. */
function reportIn(text: string): WorkerReport | undefined {
  try {
    return JSON.parse(text) as WorkerReport;
  } catch {
    return undefined;
  }
}

/** Whether the worker writes what is for this destination; one that does not say may. */
export function serves({ destinations }: WorkerReport, wanted: Destination): boolean {
  return !destinations || destinations.some((destination) => isSameDestination(destination, wanted));
}
