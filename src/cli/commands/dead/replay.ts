import type { Command } from 'commander';
import type { DeadLetterSelection } from '../../../dead-letters/dead-letter-filter.js';
import type { DeadLetters } from '../../../dead-letters/dead-letters.js';
import type { ReplayOutcome, ReplayProgress, ReplayResult } from '../../../dead-letters/replay-options.js';
import { type CommandContext, note, runCommand, UsageError } from '../../command.js';
import {
  addFilterOptions,
  countText,
  type FilterOptions,
  openDeadLetters,
  selectionOf,
} from '../../dead-letters.js';
import { OutcomeList } from '../../outcome-list.js';
import { progressBar } from '../../progress-bar.js';
import { assertNoneDead, outcomeText, replayText } from '../../replay-text.js';
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
      '\nTells what became of each dead letter that is not committed. Exit code 0: none is refused again; 1: some are, or the replay ' +
        'failed;\n2: wrong usage; 130: interrupted. Ctrl-C stops between two dead letters.',
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
        const others = new OutcomeList(outcomeText);
        const result = await replay(context, letters, selection, options, others);
        const interrupted = context.signal.aborted;
        const stopped = interrupted ? 'interrupted; ' : '';
        context.print({ ...result, interrupted, notCommitted: others.entries }, stopped + replayText(result));
        if (!context.json) others.note('see ckpt dead list');
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
  others: OutcomeList<ReplayOutcome>,
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
      onOutcome: (outcome) => {
        if (outcome.outcome !== 'committed') others.add(outcome);
      },
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
