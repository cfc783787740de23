import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { withServices } from '../../config.js';
import { DatabaseError } from '../../errors.js';
import { Database } from '../../postgres/database.js';
import { tableNames } from '../../postgres/identifiers.js';
import { refusesLogin } from '../../postgres/sqlstate.js';
import { RedisConnection } from '../../redis/connection.js';
import { queueKeys } from '../../redis/queue-keys.js';
import { type QueueStats, readQueueStats } from '../../redis/queue-stats.js';
import type { WorkerReport } from '../../redis/worker-registry.js';
import { CheckpointTable } from '../../store/checkpoint-table.js';
import { textTable } from '../checkpoint-text.js';
import { type CommandContext, CommandError, type CommonOptions, runCommand, writeLines } from '../command.js';
import { wholeNumber } from '../stores.js';

interface Stats extends QueueStats {
  /** PostgreSQL's estimate; null where it has none. */
  rows: number | null;
  /** Why there is no estimate; null where there is one. `refused`: PostgreSQL answers and does not let this role in. */
  rowsUnknown: 'not reached' | 'refused' | 'not analysed' | null;
  /** PostgreSQL's error in words, where it is not reached or refuses. */
  postgresError: string | null;
  at: string;
}

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
          // An outage ends. Who is not let in has a wrong setting.
          if (stats.rowsUnknown === 'refused')
            throw new CommandError(stats.postgresError as string, 'DATABASE');
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

async function rowsOf(
  table: CheckpointTable,
): Promise<Pick<Stats, 'rows' | 'rowsUnknown' | 'postgresError'>> {
  try {
    const rows = await table.estimatedRows();
    const rowsUnknown = rows === undefined ? 'not analysed' : null;
    return { rows: rows ?? null, rowsUnknown, postgresError: null };
  } catch (error) {
    // The queue is what matters most while PostgreSQL is away.
    if (!(error instanceof DatabaseError)) throw error;
    const rowsUnknown = refusesLogin(error.sqlState) ? 'refused' : 'not reached';
    return { rows: null, rowsUnknown, postgresError: error.message };
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

function statsText(stats: Stats, perSecond?: number): string[] {
  const { waiting, active, delayed, failed, deadLetters, oldestAgeMs, counters, workers } = stats;
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
      [
        'rows, about',
        stats.postgresError ?? (stats.rows === null ? '(not analysed yet)' : String(stats.rows)),
      ],
    ],
  ).slice(1); // without a header
}
