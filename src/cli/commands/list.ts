import type { Command } from 'commander';
import { parseTime } from '../../duration.js';
import { checkpointTable } from '../checkpoint-text.js';
import { runCommand, UsageError } from '../command.js';
import { openForReading, type ReadCommandOptions, wholeNumber } from '../stores.js';

interface ListCommandOptions extends ReadCommandOptions {
  limit?: string;
  before?: string;
  after?: string;
}

export function registerList(program: Command): void {
  program
    .command('list <execution>')
    .description('list the checkpoints of an execution, oldest first')
    .option('--limit <n>', 'at most this many')
    .option('--before <time or id>', 'only those before an ISO 8601 time or a checkpoint')
    .option('--after <time or id>', 'only those after it; to page, the last id of the page before')
    .option(
      '--consistency <which>',
      'committed, or latest: wait for what was acknowledged before',
      'committed',
    )
    .option('--timeout-ms <ms>', 'for latest: how long to wait (default 10000)')
    .option('--json', 'print one JSON array')
    .action((execution: string, options: ListCommandOptions) =>
      runCommand(options, async (context) => {
        const [store, readOptions] = openForReading(context, options);
        const checkpoints = await context.interruptible(
          store.list(execution, {
            ...readOptions,
            limit: options.limit === undefined ? undefined : wholeNumber('--limit', options.limit),
            before: timeOrId('--before', options.before),
            after: timeOrId('--after', options.after),
          }),
        );
        context.print(checkpoints, () => checkpointTable(checkpoints));
      }),
    );
}

const ISO_TIME = /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:?\d{2})?)?$/;

/** @throws UsageError naming the option */
function timeOrId(option: string, text: string | undefined): Date | string | undefined {
  if (text === undefined || !ISO_TIME.test(text)) return text;
  const time = parseTime(text);
  if (!time) throw new UsageError(option, 'is a time that does not exist');
  return time;
}
