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
import { openQueuedStore } from '../stores.js';

interface SaveCommandOptions extends CommonOptions {
  wait?: boolean;
  skipBad?: boolean;
}

interface SaveResult {
  saved: number;
  bad: number;
}

/** Saves that are not acknowledged yet, at most: enough for full chunks. */
const MAX_IN_FLIGHT = 1000;
/** Their share of `maxPendingBytes`: a line is about as long as its record, and the limit must not be met. */
const PENDING_SHARE = 0.25;

export function registerSave(program: Command): void {
  program
    .command('save <file>')
    .description('save checkpoints from a file of JSON lines, or from standard input (-)')
    .option('--wait', 'until PostgreSQL has them')
    .option('--skip-bad', 'go on after a line that is not a checkpoint (exit code 1 in the end)')
    .option('--json', 'print JSON')
    .action((file: string, options: SaveCommandOptions) =>
      runCommand(options, async (context) => {
        const { input, bytes } = await openInput(file);
        const store = openQueuedStore(context, { onQueueFull: 'wait' });
        const result = await saveLines(context, store, input, { bytes, skipBad: options.skipBad ?? false });
        if (options.wait && !context.signal.aborted) await context.interruptible(store.flush());
        const state = options.wait ? 'committed' : 'acknowledged';
        context.print({ ...result, state }, `${result.saved} saves ${state}`);
        if (result.bad > 0)
          throw new CommandError(`${result.bad} line(s) were no checkpoints and were left out`);
      }),
    );
}

async function saveLines(
  { config, signal, json }: CommandContext,
  store: QueuedCheckpointStore,
  input: Readable,
  { bytes, skipBad }: { bytes?: number; skipBad: boolean },
): Promise<SaveResult> {
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
            () => {
              result.saved++;
            },
            (error: unknown) => {
              failure ??= error;
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
    }
    await Promise.all(inFlight);
  } finally {
    bar?.stop();
    input.destroy();
  }
  if (failure || signal.aborted) note(`${result.saved} saves were acknowledged before`);
  if (failure) throw failure;
  return result;
}
