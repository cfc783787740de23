import { InvalidConfigError } from './errors.js';
import { checkOptions, type KnownKeys } from './known-keys.js';
import { isWithin } from './numbers.js';

export interface CloseOptions {
  /** How long to wait for what is under way, in milliseconds. Default 10,000; Infinity: as long as it takes. */
  deadlineMs?: number;
}

const OPTIONS = { deadlineMs: true } satisfies KnownKeys<CloseOptions>;
const DEFAULT_DEADLINE_MS = 10_000;

/** @throws InvalidConfigError naming the option */
export function deadlineOf(options: CloseOptions): number {
  checkOptions(options, OPTIONS, 'close');
  const { deadlineMs = DEFAULT_DEADLINE_MS } = options;
  if (!isWithin(deadlineMs, 0)) throw new InvalidConfigError('deadlineMs', 'must be a number of at least 0');
  return deadlineMs;
}
