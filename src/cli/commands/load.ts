import type { Command } from 'commander';
import { checkpointText } from '../checkpoint-text.js';
import { runCommand } from '../command.js';
import { openForReading, type ReadCommandOptions } from '../stores.js';

export function registerLoad(program: Command): void {
  program
    .command('load <id>')
    .description('print one checkpoint')
    .option(
      '--consistency <which>',
      'committed, or latest: wait for what was acknowledged before',
      'committed',
    )
    .option('--execution <id>', 'its execution; needed for --consistency latest')
    .option('--timeout-ms <ms>', 'for latest: how long to wait (default 10000)')
    .option('--json', 'print JSON')
    .action((id: string, options: ReadCommandOptions & { execution?: string }) =>
      runCommand(options, async (context) => {
        const [store, readOptions] = openForReading(context, options);
        const checkpoint = await context.interruptible(
          store.load(id, { ...readOptions, executionId: options.execution }),
        );
        context.print(checkpoint, () => checkpointText(checkpoint));
      }),
    );
}
