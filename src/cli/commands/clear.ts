import type { Command } from 'commander';
import { type CommonOptions, runCommand } from '../command.js';
import { confirm } from '../confirm.js';
import { openQueuedStore } from '../stores.js';

export function registerClear(program: Command): void {
  program
    .command('clear <execution>')
    .description('delete all checkpoints of an execution; asks first')
    .option('--yes', 'do not ask')
    .option('--json', 'print JSON')
    .action((execution: string, options: CommonOptions & { yes?: boolean }) =>
      runCommand(options, async (context) => {
        if (!options.yes) await confirm(context, `Delete all checkpoints of ${execution}?`);
        await context.interruptible(openQueuedStore(context).clear(execution));
        context.print({ cleared: execution }, `cleared ${execution}`);
      }),
    );
}
