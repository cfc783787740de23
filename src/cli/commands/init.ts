import type { Command } from 'commander';
import { required } from '../../config.js';
import { parseTime } from '../../duration.js';
import { Database } from '../../postgres/database.js';
import { PERIODS, type Period, type TableNames, tableNames } from '../../postgres/identifiers.js';
import { makePartitions } from '../../postgres/partitions.js';
import { migrate, SCHEMA_VERSION } from '../../postgres/schema.js';
import { type CommonOptions, runCommand, UsageError } from '../command.js';

interface InitOptions extends CommonOptions {
  partitionBy?: string;
  partitionsFrom?: string;
}

export function registerInit(program: Command): void {
  program
    .command('init')
    .description('create the tables, or bring them up to date; safe to run again and by many at once')
    .option(
      '--partition-by <period>',
      `partition the checkpoint table by timestamp: ${PERIODS.join(' or ')} (default: CKPT_PARTITION_BY); only where it is created`,
    )
    .option(
      '--partitions-from <date>',
      'of a partitioned table: make the partitions from this day on, 2026-01-31 say, and move there what lies in the default one',
    )
    .option('--json', 'print JSON')
    .action((options: InitOptions) =>
      runCommand(options, async ({ config, closing, print }) => {
        const partitionBy = periodOf(options.partitionBy) ?? config.partitionBy;
        const from = dayOf(options.partitionsFrom);
        const names: TableNames = tableNames({ ...config, partitionBy });
        const database = closing(new Database(required(config, 'postgres')));
        await migrate(database, names);
        const partitions = from ? await makePartitions(database, names, { from }) : [];
        const { label } = names;
        print(
          { table: label, schemaVersion: SCHEMA_VERSION, ...(from && { partitions }) },
          `${label} is at schema version ${SCHEMA_VERSION}${from ? `; ${partitions.length} partitions made` : ''}`,
        );
      }),
    );
}

/** @throws UsageError */
function periodOf(text: string | undefined): Period | undefined {
  if (text === undefined) return undefined;
  const period = PERIODS.find((one) => one === text);
  if (!period) throw new UsageError('--partition-by', `must be ${PERIODS.join(' or ')}`);
  return period;
}

/** @throws UsageError */
function dayOf(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text) ? parseTime(text) : undefined;
  if (day === undefined) {
    throw new UsageError('--partitions-from', 'must be a day such as 2026-01-31');
  }
  return day;
}
