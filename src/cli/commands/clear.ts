import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { type CommandContext, CommandError, type CommonOptions, runCommand, UsageError } from '../command.js';
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

async function confirm({ signal }: CommandContext, question: string): Promise<void> {
  if (!process.stdin.isTTY) throw new UsageError('--yes', 'is needed where nobody can be asked');
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await prompt.question(`${question} [y/N] `, { signal });
    if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError('nothing was deleted', 'CANCELLED');
  } finally {
    prompt.close();
  }
}
