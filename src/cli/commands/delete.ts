import type { Command } from 'commander';
import { type CommonOptions, runCommand } from '../command.js';
import { openQueuedStore } from '../stores.js';

export function registerDelete(program: Command): void {
  program
    .command('delete <id>')
    .description('delete one checkpoint; saves of it that still wait in the queue go with it')
    .option('--json', 'print JSON')
    .action((id: string, options: CommonOptions) =>
      runCommand(options, async (context) => {
        await context.interruptible(openQueuedStore(context).delete(id));
        context.print({ deleted: id }, `deleted ${id}`);
      }),
    );
}
