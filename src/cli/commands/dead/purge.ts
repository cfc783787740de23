import type { Command } from 'commander';
import { runCommand, UsageError } from '../../command.js';
import { confirm } from '../../confirm.js';
import {
  addFilterOptions,
  countText,
  type FilterOptions,
  openDeadLetters,
  selectionOf,
} from '../../dead-letters.js';

interface PurgeCommandOptions extends FilterOptions {
  all?: boolean;
  dryRun?: boolean;
  yes?: boolean;
}

export function registerDeadPurge(dead: Command): void {
  addFilterOptions(dead.command('purge [ids...]'))
    .description('give dead letters up for good: ids, what the filters mean, or --all; asks first')
    .option('--all', 'all of them')
    .option('--dry-run', 'only say how many')
    .option('--yes', 'do not ask')
    .option('--json', 'print JSON')
    .action((ids: string[], options: PurgeCommandOptions) =>
      runCommand(options, async (context) => {
        const selection = selectionOf(ids, options);
        if (!options.dryRun && !options.yes && !process.stdin.isTTY) {
          throw new UsageError('--yes', 'is needed where nobody can be asked');
        }
        const letters = openDeadLetters(context);
        const count = await context.interruptible(letters.purge({ ...selection, dryRun: true }));
        if (options.dryRun) {
          context.print({ wouldPurge: count }, `${countText(count)} to purge`);
          return;
        }
        if (!options.yes) await confirm(context, `Purge ${countText(count)} for good?`);
        const purged = await context.interruptible(letters.purge(selection));
        context.print({ purged }, `purged ${countText(purged)}`);
      }),
    );
}
