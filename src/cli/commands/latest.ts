import type { Command } from 'commander';
import { checkpointText } from '../checkpoint-text.js';
import { CommandError, runCommand } from '../command.js';
import { openForReading, type ReadCommandOptions } from '../stores.js';

export function registerLatest(program: Command): void {
  program
    .command('latest <execution>')
    .description('print the newest checkpoint of an execution')
    .option(
      '--consistency <which>',
      'committed, or latest: wait for what was acknowledged before',
      'committed',
    )
    .option('--timeout-ms <ms>', 'for latest: how long to wait (default 10000)')
    .option('--json', 'print JSON')
    .action((execution: string, options: ReadCommandOptions) =>
      runCommand(options, async (context) => {
        const [store, readOptions] = openForReading(context, options);
        const checkpoint = await context.interruptible(store.latest(execution, readOptions));
        if (!checkpoint)
          throw new CommandError(`no checkpoints of execution ${execution}`, 'CHECKPOINT_NOT_FOUND');
        context.print(checkpoint, () => checkpointText(checkpoint));
      }),
    );
}
