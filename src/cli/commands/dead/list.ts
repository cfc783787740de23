import type { Command } from 'commander';
import { runCommand } from '../../command.js';
import {
  addFilterOptions,
  deadLetterTable,
  type FilterOptions,
  filterOf,
  openDeadLetters,
} from '../../dead-letters.js';
import { wholeNumber } from '../../stores.js';

interface ListOptions extends FilterOptions {
  limit: string;
  after?: string;
}

export function registerDeadList(dead: Command): void {
  addFilterOptions(dead.command('list'))
    .description('list dead letters, the oldest saves first, without what they hold')
    .option('--limit <n>', 'at most this many', '100')
    .option('--after <id>', 'only those behind it; to page, the last one of the page before')
    .option('--json', 'print one JSON array')
    .action((options: ListOptions) =>
      runCommand(options, async (context) => {
        const limit = wholeNumber('--limit', options.limit);
        const { after } = options;
        const list = { ...filterOf(options), limit, ...(after !== undefined && { after }) };
        const letters = await context.interruptible(openDeadLetters(context).list(list));
        context.print(letters, () => deadLetterTable(letters));
      }),
    );
}
