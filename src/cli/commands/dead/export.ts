import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import type { DeadLetters } from '../../../dead-letters/dead-letters.js';
import { escapeControls } from '../../../terminal-text.js';
import { type CommandContext, CommandError, note, runCommand } from '../../command.js';
import {
  addFilterOptions,
  countText,
  type FilterOptions,
  filterOf,
  openDeadLetters,
} from '../../dead-letters.js';

export function registerDeadExport(dead: Command): void {
  addFilterOptions(dead.command('export [file]'))
    .description('write dead letters with their states as JSON lines, to a file or to standard output')
    .option('--json', 'print the result as JSON; the lines are JSON always')
    .action((file: string | undefined, options: FilterOptions) =>
      runCommand(options, async (context) => {
        const letters = openDeadLetters(context);
        const counted = { exported: 0 };
        const lines = exportedLines(letters, options, counted);
        if (file === undefined || file === '-') {
          const { signal } = context;
          await context.interruptible(pipeline(Readable.from(lines), process.stdout, { signal, end: false }));
          if (!context.json) note(`exported ${countText(counted.exported)}`);
          return;
        }
        await context.interruptible(writeWhole(context, file, lines));
        context.print({ ...counted, file }, `exported ${countText(counted.exported)} to ${file}`);
      }),
    );
}

async function* exportedLines(
  letters: DeadLetters,
  options: FilterOptions,
  counted: { exported: number },
): AsyncGenerator<string> {
  for await (const line of letters.export(filterOf(options))) {
    yield `${escapeControls(JSON.stringify(line))}\n`;
    counted.exported++;
  }
}

/** All or nothing: who purges afterwards must be able to rely on the file. Only its owner may read the states in it. */
async function writeWhole(
  { signal }: CommandContext,
  file: string,
  lines: AsyncIterable<string>,
): Promise<void> {
  const part = `${file}.part`;
  const output = createWriteStream(part, { mode: 0o600, flush: true });
  try {
    await pipeline(Readable.from(lines), output, { signal });
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true }).catch(() => {}); // what is wrong with the place is told below
    const { code, path } = error as NodeJS.ErrnoException;
    throw path === undefined ? error : new CommandError(`cannot write ${file}: ${code}`, 'CANNOT_WRITE');
  }
}
