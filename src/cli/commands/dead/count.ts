import type { Command } from 'commander';
import { runCommand } from '../../command.js';
import { addFilterOptions, type FilterOptions, filterOf, openDeadLetters } from '../../dead-letters.js';

export function registerDeadCount(dead: Command): void {
  addFilterOptions(dead.command('count'))
    .description('count dead letters')
    .option('--json', 'print JSON')
    .action((options: FilterOptions) =>
      runCommand(options, async (context) => {
        const count = await context.interruptible(openDeadLetters(context).count(filterOf(options)));
        context.print({ count }, String(count));
      }),
    );
}
