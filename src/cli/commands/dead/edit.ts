import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { checkpointOfLine } from '../../checkpoint-lines.js';
import { CommandError, type CommonOptions, runCommand } from '../../command.js';
import { openDeadLetters } from '../../dead-letters.js';
import { assertNoneDead, replayText } from '../../replay-text.js';

export function registerDeadEdit(dead: Command): void {
  dead
    .command('edit <id>')
    .description('replace the refused save by the checkpoint in a file, and replay it in its place')
    .requiredOption('--file <file>', 'a checkpoint as JSON, with the same id and execution')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\n"ckpt dead show ID --payload --json" prints what is refused, under "checkpoint".',
    )
    .action((id: string, options: CommonOptions & { file: string }) =>
      runCommand(options, async (context) => {
        const text = await readFile(options.file, 'utf8').catch((error: NodeJS.ErrnoException) => {
          throw new CommandError(`cannot read ${options.file}: ${error.code}`, 'CANNOT_READ');
        });
        const checkpoint = checkpointOfLine(text);
        const result = await context.interruptible(openDeadLetters(context).edit(id, checkpoint));
        context.print(result, () => replayText(result));
        assertNoneDead(result);
      }),
    );
}
