import { parseArgs } from 'node:util';

export const USAGE = `npm run chaos -- [options]

  --minutes N   how long faults are made, 0.1 to 1440 (default 10); draining and the checks come on top
  --seed N      of the faults and of the load (default: another one each time)
  --json FILE   where the report goes (default: test/chaos/results/)
  --rights      also take rights from the Redis user of workers and producers for some seconds
  --servers-only  only faults of servers, network and processes: no operators, and no cuts between calls that nobody awaits
  --no-replays  replay no dead letters while faults are made
  --help

Starts a PostgreSQL, a Redis, four workers and two producers of its own, and makes faults of all kinds. Then it checks what
was promised. Ctrl-C ends the faults early; the checks are made all the same. Exit code 1: a promise is broken.`;

const DEFAULT_MINUTES = 10;
const MAX_SEED = 2 ** 31;

/** The message says which option is wrong. */
export class UsageError extends Error {}

export interface ChaosOptions {
  readonly minutes: number;
  readonly seed: number;
  /** Undefined: the default place. */
  readonly jsonFile: string | undefined;
  readonly replays: boolean;
  /** Whether rights of the Redis user are taken away and given back. */
  readonly rights: boolean;
  /** Whether operators and unawaited calls are left out. */
  readonly serversOnly: boolean;
}

/** Undefined if help was asked for. @throws UsageError */
export function readOptions(args: string[]): ChaosOptions | undefined {
  const { help, minutes, seed, json, rights = false } = parse(args);
  const { 'no-replays': noReplays = false, 'servers-only': serversOnly = false } = parse(args);
  if (help) return undefined;
  if (json === '') throw new UsageError('--json: must be a file');
  return {
    minutes: numberOf('--minutes', minutes ?? String(DEFAULT_MINUTES), 0.1, 1440),
    seed: seed === undefined ? Math.floor(Math.random() * MAX_SEED) : seedOf(seed),
    jsonFile: json,
    replays: !noReplays,
    rights,
    serversOnly,
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        minutes: { type: 'string' },
        seed: { type: 'string' },
        json: { type: 'string' },
        'no-replays': { type: 'boolean' },
        rights: { type: 'boolean' },
        'servers-only': { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function seedOf(text: string): number {
  const seed = numberOf('--seed', text, 0, MAX_SEED - 1);
  if (!Number.isInteger(seed)) throw new UsageError('--seed: must be a whole number');
  return seed;
}

function numberOf(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= min && value <= max))
    throw new UsageError(`${option}: must be a number from ${min} to ${max}`);
  return value;
}
