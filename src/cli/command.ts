import { type Config, loadConfig } from '../config.js';
import { CheckpointQueueError } from '../errors.js';
import { escapeControls } from '../terminal-text.js';

/** One line, or several. No value in it can begin another one. */
export type Lines = string | readonly string[];

/** Options that every command has. */
export interface CommonOptions {
  json?: boolean;
}

/** What a command works with. It is closed when the command ends, fails or is interrupted. */
export interface CommandContext {
  readonly config: Config;
  readonly json: boolean;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  /** Settles as `work` does, or rejects when the command is interrupted; what `work` comes to afterwards is ignored. */
  interruptible<T>(work: Promise<T>): Promise<T>;
  /** Prints the result: the value as one line of JSON with `--json`, else the text. */
  print(value: unknown, text: Lines | (() => Lines)): void;
  /** Something to close at the end, the last one first. */
  closing<T extends { close(): Promise<void> }>(resource: T): T;
}

const EXIT_INTERRUPTED = 130;
const EXIT_USAGE = 2;
const EXIT_FAILURE = 1;
/** Codes of errors that say: asked in the wrong way. */
const USAGE_CODES = new Set(['INVALID_CONFIG', 'INVALID_FILTER', 'USAGE']);

/** Runs the body of a command: settings, interruption, closing, errors and exit code are the same for all. */
export async function runCommand(
  options: CommonOptions,
  body: (context: CommandContext) => Promise<void>,
): Promise<void> {
  const json = options.json ?? false;
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  const interrupted = new Promise<never>((_, reject) =>
    interruption.signal.addEventListener('abort', () => reject(new Interrupted()), { once: true }),
  );
  interrupted.catch(() => {}); // who waits for it is told
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const resources: { close(): Promise<void> }[] = [];
  try {
    await body({
      config: loadConfig(),
      json,
      signal: interruption.signal,
      interruptible: (work) => Promise.race([work, interrupted]),
      print: (value, text) =>
        writeLines(json ? JSON.stringify(value) : typeof text === 'function' ? text() : text),
      closing: (resource) => {
        resources.push(resource);
        return resource;
      },
    });
  } catch (error) {
    if (!(error instanceof Interrupted)) failCommand(error, json);
  } finally {
    for (const resource of resources.reverse()) await resource.close();
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    if (interruption.signal.aborted) process.exitCode = EXIT_INTERRUPTED;
  }
}

class Interrupted extends Error {}

/** An expected failure of a command: said in one line, with exit code 1. */
export class CommandError extends CheckpointQueueError {
  constructor(message: string, code = 'COMMAND_FAILED') {
    super(code, message);
  }
}

/** Wrong usage: exit code 2. */
export class UsageError extends CheckpointQueueError {
  constructor(
    readonly field: string,
    problem: string,
  ) {
    super('USAGE', `${field} ${problem}`);
  }
}

/** To standard output. */
export function writeLines(lines: Lines): void {
  process.stdout.write(escapedLines(lines));
}

/** A note for people, beside the result. */
export function note(lines: Lines): void {
  process.stderr.write(escapedLines(lines));
}

function escapedLines(lines: Lines): string {
  return [lines]
    .flat()
    .map((line) => `${escapeControls(line)}\n`)
    .join('');
}

/** Says what went wrong and sets the exit code. */
export function failCommand(error: unknown, json: boolean): void {
  const { code, message, field } = describe(error);
  process.exitCode = USAGE_CODES.has(code) ? EXIT_USAGE : EXIT_FAILURE;
  note(json ? JSON.stringify({ error: { code, message, ...(field && { field }) } }) : `ckpt: ${message}`);
  if (/^(debug|trace)$/.test(process.env.CKPT_LOG_LEVEL ?? '') && error instanceof Error)
    note((error.stack ?? '').split('\n'));
}

function describe(error: unknown): { code: string; message: string; field?: string } {
  if (error instanceof AggregateError && error.errors.length > 0) {
    const first = describe(error.errors[0]);
    const more = error.errors.length - 1;
    return more === 0 ? first : { ...first, message: `${first.message} (and ${more} more)` };
  }
  if (error instanceof CheckpointQueueError) {
    return {
      code: error.code,
      message: error.message,
      ...('field' in error && { field: String(error.field) }),
    };
  }
  if (error instanceof Error)
    return { code: (error as { code?: string }).code ?? 'UNEXPECTED', message: error.message };
  return { code: 'UNEXPECTED', message: 'unknown error' };
}
