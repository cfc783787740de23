import { createInterface } from 'node:readline/promises';
import { escapeControls } from '../terminal-text.js';
import { type CommandContext, CommandError, UsageError } from './command.js';

/** Asks on the terminal. @throws UsageError where there is none, CommandError unless the answer is yes */
export async function confirm({ signal }: CommandContext, question: string): Promise<void> {
  if (!process.stdin.isTTY) throw new UsageError('--yes', 'is needed where nobody can be asked');
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await prompt.question(`${escapeControls(question)} [y/N] `, { signal });
    if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError('nothing was deleted', 'CANCELLED');
  } finally {
    prompt.close();
  }
}
