import type { Command } from 'commander';
import type { DeadLetterSelection } from '../../../dead-letters/dead-letter-filter.js';
import type { DeadLetters } from '../../../dead-letters/dead-letters.js';
import type { ReplayProgress, ReplayResult } from '../../../dead-letters/replay-options.js';
import { type CommandContext, note, runCommand, UsageError } from '../../command.js';
import {
  addFilterOptions,
  countText,
  type FilterOptions,
  openDeadLetters,
  selectionOf,
} from '../../dead-letters.js';
import { progressBar } from '../../progress-bar.js';
import { assertNoneDead, replayText } from '../../replay-text.js';
import { wholeNumber } from '../../stores.js';

interface ReplayCommandOptions extends FilterOptions {
  all?: boolean;
  dryRun?: boolean;
  rate?: string;
  wait: boolean;
  waitMs?: string;
}

export function registerDeadReplay(dead: Command): void {
  addFilterOptions(dead.command('replay [ids...]'))
    .description('put dead letters into the queue again: ids, what the filters mean, or --all')
    .option('--all', 'all of them')
    .option('--dry-run', 'only say how many')
    .option('--rate <n/s>', 'at most so many a second, as 100/s')
    .option('--no-wait', 'do not wait for the workers')
    .option('--wait-ms <ms>', 'how long to wait for them (default 30000)')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExit code 1 if anything is refused again. Ctrl-C stops between two dead letters.',
    )
    .action((ids: string[], options: ReplayCommandOptions) =>
      runCommand(options, async (context) => {
        const selection = selectionOf(ids, options);
        const letters = openDeadLetters(context);
        if (options.dryRun) {
          const result = await context.interruptible(letters.replay({ ...selection, dryRun: true }));
          context.print({ wouldReplay: result.replayed }, `${countText(result.replayed)} to replay`);
          return;
        }
        const result = await replay(context, letters, selection, options);
        const stopped = context.signal.aborted ? 'interrupted; ' : '';
        context.print({ ...result, interrupted: context.signal.aborted }, stopped + replayText(result));
        if (!context.signal.aborted) assertNoneDead(result);
      }),
    );
}

/** Not `interruptible`: Ctrl-C ends it between two dead letters, with a result. */
async function replay(
  { json, signal }: CommandContext,
  letters: DeadLetters,
  selection: DeadLetterSelection,
  { rate, wait, waitMs }: ReplayCommandOptions,
): Promise<ReplayResult> {
  const waitTimeoutMs = waitMs === undefined ? undefined : wholeNumber('--wait-ms', waitMs);
  const ratePerSecond = rate === undefined ? undefined : perSecond(rate);
  let last: ReplayProgress | undefined;
  const bar = process.stderr.isTTY && !json ? progressBar('replaying', 1) : undefined;
  try {
    return await letters.replay({
      ...selection,
      wait,
      signal,
      ...(waitTimeoutMs !== undefined && { waitTimeoutMs }),
      ...(ratePerSecond !== undefined && { ratePerSecond }),
      onProgress: (progress) => {
        last = progress;
        bar?.setTotal(Math.max(progress.total, progress.done));
        bar?.update(progress.done);
      },
    });
  } catch (error) {
    if (last) note(`${last.replayed} of ${last.total} were replayed before`);
    throw error;
  } finally {
    bar?.stop();
  }
}

function perSecond(rate: string): number {
  const [, count] = /^(\d{1,6})(?:\/s)?$/.exec(rate) ?? [];
  if (!count || Number(count) === 0) throw new UsageError('--rate', 'must be a number a second, as 100/s');
  return Number(count);
}
