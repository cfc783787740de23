import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { withServices } from '../../config.js';
import { DatabaseError } from '../../errors.js';
import { Database } from '../../postgres/database.js';
import { tableNames } from '../../postgres/identifiers.js';
import { RedisConnection } from '../../redis/connection.js';
import { queueKeys } from '../../redis/queue-keys.js';
import { type QueueStats, readQueueStats } from '../../redis/queue-stats.js';
import type { WorkerReport } from '../../redis/worker-registry.js';
import { CheckpointTable } from '../../store/checkpoint-table.js';
import { textTable } from '../checkpoint-text.js';
import { type CommandContext, type CommonOptions, runCommand, writeLines } from '../command.js';
import { wholeNumber } from '../stores.js';

interface Stats extends QueueStats {
  /** PostgreSQL's estimate; null where it has none. */
  rows: number | null;
  /** Why there is no estimate; null where there is one. */
  rowsUnknown: 'not reached' | 'not analysed' | null;
  at: string;
}

const ROWS_UNKNOWN = { 'not reached': 'PostgreSQL cannot be reached', 'not analysed': '(not analysed yet)' };
const DEFAULT_WATCH_SECONDS = '2';
const CLEAR_SCREEN = '\x1b[2J\x1b[H';

export function registerStats(program: Command): void {
  program
    .command('stats')
    .description('queue counts, age of the oldest waiting save, workers, rows')
    .option('--watch [seconds]', 'again and again, with rates, until Ctrl-C')
    .option('--json', 'print JSON; with --watch one object a line')
    .action((options: CommonOptions & { watch?: string | true }) =>
      runCommand(options, async (context) => {
        const read = openStats(context);
        if (options.watch === undefined) {
          const stats = await read();
          context.print(stats, () => statsText(stats));
          return;
        }
        const seconds = options.watch === true ? DEFAULT_WATCH_SECONDS : options.watch;
        await watch(context, read, wholeNumber('--watch', seconds, 1, 3600) * 1000);
      }),
    );
}

function openStats({ config, closing }: CommandContext): () => Promise<Stats> {
  const { redis, postgres } = withServices(config);
  const keys = queueKeys(config);
  const connection = new RedisConnection(redis, keys, 'commands');
  closing({ close: async () => connection.close() });
  const table = new CheckpointTable(closing(new Database(postgres)), tableNames(config));
  return async () => ({
    at: new Date().toISOString(),
    ...(await readQueueStats(connection, keys)),
    ...(await rowsOf(table)),
  });
}

async function rowsOf(table: CheckpointTable): Promise<Pick<Stats, 'rows' | 'rowsUnknown'>> {
  try {
    const rows = await table.estimatedRows();
    return rows === undefined ? { rows: null, rowsUnknown: 'not analysed' } : { rows, rowsUnknown: null };
  } catch (error) {
    // The queue is what matters most while PostgreSQL is away.
    if (error instanceof DatabaseError) return { rows: null, rowsUnknown: 'not reached' };
    throw error;
  }
}

async function watch(context: CommandContext, read: () => Promise<Stats>, intervalMs: number): Promise<void> {
  let previous: Stats | undefined;
  while (!context.signal.aborted) {
    const stats = await read();
    const perSecond = previous && rateBetween(previous, stats);
    if (context.json) {
      writeLines(JSON.stringify({ ...stats, ...(perSecond !== undefined && { perSecond }) }));
    } else {
      if (process.stdout.isTTY) process.stdout.write(CLEAR_SCREEN);
      writeLines([...statsText(stats, perSecond), '']);
    }
    previous = stats;
    await delay(intervalMs, undefined, { signal: context.signal }).catch(() => {});
  }
}

function rateBetween(before: Stats, after: Stats): number {
  const seconds = (Date.parse(after.at) - Date.parse(before.at)) / 1000;
  return Math.round((after.counters.committed - before.counters.committed) / seconds);
}

function workersText(workers: readonly WorkerReport[]): string {
  if (workers.length === 0) return '0  (start one: ckpt worker)';
  const open = workers.filter(({ breaker }) => breaker === 'open');
  if (open.length === 0) return String(workers.length);
  const reasons = new Set(open.map(({ sqlState, failure }) => sqlState ?? failure ?? 'unknown'));
  const since = Math.min(...open.map(({ breakerSince }) => breakerSince));
  const held = `${open.length} waiting for PostgreSQL (${[...reasons].join(', ')}) since ${new Date(since).toISOString()}`;
  return `${workers.length}  (${held})`;
}

function statsText(
  { waiting, active, delayed, failed, deadLetters, oldestAgeMs, counters, workers, rows, rowsUnknown }: Stats,
  perSecond?: number,
): string[] {
  const { committed, superseded, deleted, batches } = counters;
  return textTable(
    ['', ''],
    [
      ['jobs waiting', String(waiting)],
      ['jobs active', String(active)],
      ['jobs delayed', String(delayed)],
      ['jobs failed', failed === 0 ? '0' : `${failed}  (not readable; kept)`],
      ['dead letters', deadLetters === 0 ? '0' : `${deadLetters}  (refused by PostgreSQL: ckpt dead list)`],
      ['oldest save waiting', oldestAgeMs === undefined ? 'none' : `${(oldestAgeMs / 1000).toFixed(1)} s`],
      ['committed', perSecond === undefined ? String(committed) : `${committed}  (${perSecond}/s)`],
      ['superseded', String(superseded)],
      ['deleted', String(deleted)],
      [
        'batches',
        batches === 0
          ? '0'
          : `${batches}  (mean ${Math.round((committed + superseded + deleted) / batches)} records)`,
      ],
      ['workers', workersText(workers)],
      ['rows, about', rowsUnknown === null ? String(rows) : ROWS_UNKNOWN[rowsUnknown]],
    ],
  ).slice(1); // without a header
}
