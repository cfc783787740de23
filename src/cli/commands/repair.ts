import type { Command } from 'commander';
import { required } from '../../config.js';
import { Database } from '../../postgres/database.js';
import { graphTableNames } from '../../postgres/graph-tables.js';
import { tableNames } from '../../postgres/identifiers.js';
import { RedisConnection } from '../../redis/connection.js';
import { queueKeys } from '../../redis/queue-keys.js';
import { anyDamaged, damagedText, SequenceRepair } from '../../repair/sequence-repair.js';
import { type CommandContext, type CommonOptions, runCommand, UsageError } from '../command.js';
import { confirm } from '../confirm.js';

interface RepairOptions extends CommonOptions {
  dryRun?: boolean;
  yes?: boolean;
}

export function registerRepair(program: Command): void {
  program
    .command('repair')
    .description(
      "give new sequences to what has a damaged one, more than a day ahead of Redis' clock; asks first. It counts as saved or deleted now",
    )
    .option('--dry-run', 'only say what is damaged')
    .option('--yes', 'do not ask')
    .option('--json', 'print JSON')
    .action((options: RepairOptions) =>
      runCommand(options, async (context) => {
        if (!options.dryRun && !options.yes && !process.stdin.isTTY) {
          throw new UsageError('--yes', 'is needed where nobody can be asked');
        }
        const repair = openRepair(context);
        const { tablesRead: _, ...damaged } = await context.interruptible(repair.find());
        if (!anyDamaged(damaged)) return context.print({ mended: damaged }, 'no sequence is damaged');
        if (options.dryRun) {
          return context.print({ wouldMend: damaged }, `damaged: ${damagedText(damaged)}`);
        }
        if (!options.yes) await confirm(context, `Number anew: ${damagedText(damaged)}?`);
        const mended = await context.interruptible(repair.mend());
        context.print({ mended }, `numbered anew: ${damagedText(mended)}`);
      }),
    );
}

function openRepair({ config, closing }: CommandContext): SequenceRepair {
  const keys = queueKeys(config);
  const database = closing(new Database(required(config, 'postgres'), { max: 1 }));
  const connection = new RedisConnection(required(config, 'redis'), keys, 'commands');
  const repair = new SequenceRepair({
    connection,
    keys,
    database,
    names: tableNames(config),
    graph: graphTableNames(config.graphSchema),
  });
  closing({
    close: async () => {
      await repair.close();
      connection.close();
    },
  });
  return repair;
}
