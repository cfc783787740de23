import type { Command } from 'commander';
import { type CommonOptions, runCommand } from '../../command.js';
import { countText, openDeadLetters } from '../../dead-letters.js';
import { openInput } from '../../input.js';
import { linesOf } from '../../lines.js';

export function registerDeadImport(dead: Command): void {
  dead
    .command('import <file>')
    .description('put exported dead letters back, from a file or from standard input (-); may be repeated')
    .option('--json', 'print JSON')
    .action((file: string, options: CommonOptions) =>
      runCommand(options, async (context) => {
        const { input } = await openInput(file);
        try {
          const result = await context.interruptible(openDeadLetters(context).import(linesOf(input)));
          const { imported, existing } = result;
          context.print(result, `imported ${countText(imported)}; ${existing} were there already`);
        } finally {
          input.destroy();
        }
      }),
    );
}
