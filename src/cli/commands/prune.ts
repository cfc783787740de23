import type { Command } from 'commander';
import { MAX_VERSION } from '../../checkpoint.js';
import type { PruneOptions, PruneProgress, PruneResult } from '../../retention/prune-options.js';
import type { QueuedCheckpointStore } from '../../store/queued-store.js';
import { type CommandContext, type CommonOptions, note, runCommand, UsageError } from '../command.js';
import { confirm } from '../confirm.js';
import { age } from '../dead-letters.js';
import { progressBar } from '../progress-bar.js';
import { openQueuedStore, wholeNumber } from '../stores.js';

interface PruneCommandOptions extends CommonOptions {
  keepLast?: string;
  olderThan?: string;
  execution?: string;
  dryRun?: boolean;
  yes?: boolean;
}

export function registerPrune(program: Command): void {
  program
    .command('prune')
    .description('remove old checkpoints beside running workers; asks first')
    .option('--keep-last <n>', 'of each execution keep the newest so many, in the order of "ckpt list"')
    .option('--older-than <age>', 'only those whose timestamp is longer ago: 90m, 36h, 30d')
    .option('--execution <id>', 'only of this execution')
    .option('--dry-run', 'only say how many')
    .option('--yes', 'do not ask')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
--keep-last or --older-than must be given; with both, what is older and not among the newest is removed. What saves in
the queue, or dead letters, could bring back is left and counted as held back. Ctrl-C stops between two batches of a
thousand rows. Workers do the same by themselves with CKPT_RETENTION_KEEP_LAST and CKPT_RETENTION_OLDER_THAN.`,
    )
    .action((options: PruneCommandOptions) =>
      runCommand(options, async (context) => {
        const selection = selectionOf(options);
        if (!options.dryRun && !options.yes && !process.stdin.isTTY) {
          throw new UsageError('--yes', 'is needed where nobody can be asked');
        }
        const store = openQueuedStore(context);
        // The bar and the question need a count; nobody else waits for one.
        const counted = options.dryRun || !options.yes || showsBar(context);
        const due = counted ? await count(context, store, selection) : undefined;
        if (options.dryRun || context.signal.aborted) {
          const { pruned, heldBack, interrupted } = due as PruneResult;
          context.print(
            { wouldPrune: pruned, heldBack, interrupted },
            `${stopped(context)}${checkpoints(pruned)} to prune${heldBackText(heldBack)}`,
          );
          return;
        }
        if (!options.yes)
          await confirm(context, `Remove ${checkpoints((due as PruneResult).pruned)} for good?`);
        const result = await prune(context, store, selection, due?.pruned);
        context.print(
          result,
          `${stopped(context)}pruned ${checkpoints(result.pruned)}${heldBackText(result.heldBack)}`,
        );
      }),
    );
}

/** @throws UsageError naming the option */
function selectionOf({ keepLast, olderThan, execution }: PruneCommandOptions): PruneOptions {
  if (keepLast === undefined && olderThan === undefined) {
    throw new UsageError('--keep-last', 'or --older-than must be given');
  }
  if (execution === '') throw new UsageError('--execution', 'must not be empty');
  return {
    ...(keepLast !== undefined && { keepLast: wholeNumber('--keep-last', keepLast, 1, MAX_VERSION) }),
    ...(olderThan !== undefined && { olderThan: age('--older-than', olderThan) }),
    ...(execution !== undefined && { executionId: execution }),
  };
}

function count(
  { signal }: CommandContext,
  store: QueuedCheckpointStore,
  selection: PruneOptions,
): Promise<PruneResult> {
  return store.prune({ ...selection, signal, dryRun: true });
}

/** Not `interruptible`: Ctrl-C ends it between two batches, with a result. */
async function prune(
  context: CommandContext,
  store: QueuedCheckpointStore,
  selection: PruneOptions,
  total = 0,
): Promise<PruneResult> {
  let last: PruneProgress | undefined;
  const bar = showsBar(context) ? progressBar('pruning', total) : undefined;
  try {
    return await store.prune({
      ...selection,
      signal: context.signal,
      onProgress: (progress) => {
        last = progress;
        bar?.setTotal(Math.max(total, progress.pruned));
        bar?.update(progress.pruned);
      },
    });
  } catch (error) {
    if (last) note(`${checkpoints(last.pruned)} were pruned before`);
    throw error;
  } finally {
    bar?.stop();
  }
}

function showsBar({ json }: CommandContext): boolean {
  return process.stderr.isTTY && !json;
}

function stopped({ signal }: CommandContext): string {
  return signal.aborted ? 'interrupted; ' : '';
}

function checkpoints(count: number): string {
  return count === 1 ? '1 checkpoint' : `${count} checkpoints`;
}

function heldBackText(heldBack: number): string {
  return heldBack === 0
    ? ''
    : `; ${heldBack} held back: saves as old wait in the queue or among the dead letters`;
}
