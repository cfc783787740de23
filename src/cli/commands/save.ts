import type { Readable } from 'node:stream';
import type { Command } from 'commander';
import { serializeCheckpoint } from '../../checkpoint.js';
import { InvalidCheckpointError } from '../../errors.js';
import type { QueuedCheckpointStore } from '../../store/queued-store.js';
import { checkpointOfLine } from '../checkpoint-lines.js';
import { type CommandContext, CommandError, type CommonOptions, note, runCommand } from '../command.js';
import { openInput } from '../input.js';
import { linesOf } from '../lines.js';
import { progressBar } from '../progress-bar.js';
import { endsText, problemsOf, SaveEnds } from '../save-ends.js';
import { openQueuedStore, TO_STDERR, wholeNumber } from '../stores.js';

interface SaveCommandOptions extends CommonOptions {
  wait?: boolean;
  waitMs?: string;
  skipBad?: boolean;
}

interface SaveResult {
  saved: number;
  bad: number;
}

/** `failure`: why it ended before the last line. */
type SavedLines = SaveResult & { failure: unknown };

/** Saves that are not acknowledged yet, at most: enough for full chunks. */
const MAX_IN_FLIGHT = 1000;
/** Their share of `maxPendingBytes`: a line is about as long as its record, and the limit must not be met. */
const PENDING_SHARE = 0.25;

export function registerSave(program: Command): void {
  program
    .command('save <file>')
    .description('save checkpoints from a file of JSON lines, or from standard input (-)')
    .option('--wait', 'until PostgreSQL has them, and tell what became of them')
    .option('--wait-ms <ms>', 'with --wait: how long, after the last line (default: as long as it takes)')
    .option('--skip-bad', 'go on after a line that is not a checkpoint (exit code 1 in the end)')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExit code 0: all saved; 1: a line was bad, a save failed or, with --wait, was refused or not committed in time;\n' +
        '2: wrong usage; 130: interrupted. What was acknowledged stays saved in any case.',
    )
    .action((file: string, options: SaveCommandOptions) =>
      runCommand(options, async (context) => {
        const waitMs = options.waitMs === undefined ? undefined : wholeNumber('--wait-ms', options.waitMs);
        const { input, bytes } = await openInput(file);
        const store = openQueuedStore(context, { onQueueFull: 'wait', logger: TO_STDERR });
        const ends = options.wait ? new SaveEnds(context.signal, waitMs) : undefined;
        const { failure, ...result } = await saveLines(context, store, input, {
          bytes,
          skipBad: options.skipBad ?? false,
          ends,
        });
        await ends?.settled();
        const problems = [
          ...(result.bad > 0 ? [`${result.bad} line(s) were no checkpoints and were left out`] : []),
          ...(ends ? problemsOf(ends.counts) : []),
        ];
        print(context, result, ends);
        if (failure) throw failure;
        if (problems.length > 0 && !context.signal.aborted) throw new CommandError(problems.join('; '));
      }),
    );
}

function print(
  { print, json, signal }: CommandContext,
  result: SaveResult,
  ends: SaveEnds | undefined,
): void {
  if (!ends) {
    print({ ...result, state: 'acknowledged' }, `${result.saved} saves acknowledged`);
    return;
  }
  const { counts, failures } = ends;
  const state = problemsOf(counts).length === 0 ? 'committed' : 'incomplete';
  const interrupted = signal.aborted;
  const value = { ...result, state, ...counts, interrupted, notCommitted: failures.entries };
  print(value, `${interrupted ? 'interrupted; ' : ''}${result.saved} saves: ${endsText(counts)}`);
  if (!json) failures.note('see ckpt dead list');
}

async function saveLines(
  { config, signal, json }: CommandContext,
  store: QueuedCheckpointStore,
  input: Readable,
  { bytes, skipBad, ends }: { bytes?: number | undefined; skipBad: boolean; ends: SaveEnds | undefined },
): Promise<SavedLines> {
  const bar = bytes !== undefined && process.stderr.isTTY && !json ? progressBar('saving', bytes) : undefined;
  const result: SaveResult = { saved: 0, bad: 0 };
  const inFlight = new Set<Promise<void>>();
  const maxBytes = config.maxPendingBytes * PENDING_SHARE;
  let bytesInFlight = 0;
  let failure: unknown;
  let lineNumber = 0;
  try {
    for await (const line of linesOf(input, signal)) {
      if (signal.aborted || failure) break;
      lineNumber++;
      bar?.increment(Buffer.byteLength(line) + 1);
      if (line.trim() === '') continue;
      try {
        const checkpoint = checkpointOfLine(line);
        serializeCheckpoint(checkpoint);
        const size = Buffer.byteLength(line);
        const saving = store
          .save(checkpoint)
          .then(
            (receipt) => {
              result.saved++;
              ends?.add(receipt);
            },
            (error: unknown) => {
              failure ??= error;
              ends?.wake();
            },
          )
          .finally(() => {
            inFlight.delete(saving);
            bytesInFlight -= size;
          });
        inFlight.add(saving);
        bytesInFlight += size;
      } catch (error) {
        if (!(error instanceof InvalidCheckpointError)) throw error;
        result.bad++;
        note(`line ${lineNumber}: ${error.message}`);
        if (!skipBad)
          failure = new CommandError(`stopped at line ${lineNumber}; --skip-bad would go on`, error.code);
      }
      while (inFlight.size >= MAX_IN_FLIGHT || bytesInFlight > maxBytes) await Promise.race(inFlight);
      if (!failure) await ends?.room();
    }
    await Promise.all(inFlight);
  } finally {
    bar?.stop();
    input.destroy();
  }
  if (failure || signal.aborted) note(`${result.saved} saves were acknowledged before`);
  return { ...result, failure };
}
