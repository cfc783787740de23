import { getNextMillis } from 'bullmq';
import { DURATION_FORM, parseDuration } from '../duration.js';
import { InvalidConfigError } from '../errors.js';
import { checkOptions, type KnownKeys } from '../known-keys.js';
import { checkAges } from './prune-options.js';

/** What the writers of a queue remove by themselves, and when. At least one of the first three must be given. */
export interface RetentionOptions {
  /** As of `prune`: of each execution the newest so many stay. */
  keepLast?: number;
  /** As of `prune`: only checkpoints whose `timestamp` lies more than so many milliseconds before now. */
  olderThan?: number;
  /** Dead letters that were last refused longer ago, in milliseconds, are given up. Default: never. */
  deadLettersOlderThan?: number;
  /** Milliseconds from one run to the next, or a cron pattern in UTC, as `0 3 * * *`. Default: one hour. */
  every?: number | string;
}

const LIMITS = {
  keepLast: true,
  olderThan: true,
  deadLettersOlderThan: true,
} satisfies KnownKeys<RetentionLimits>;
const OPTIONS = { ...LIMITS, every: true } satisfies KnownKeys<RetentionOptions>;

/** What a run removes; travels in its job. */
export type RetentionLimits = Omit<RetentionOptions, 'every'>;

export interface RetentionSettings {
  readonly limits: RetentionLimits;
  readonly schedule: { readonly every: number } | { readonly pattern: string; readonly tz: string };
}

export const DEFAULT_EVERY = '1h';
const EVERY_MS = { min: 1000, max: 366 * 86_400_000 };

/** @throws InvalidConfigError naming the option, `retention.keepLast` say */
export function retentionSettings(options: RetentionOptions | false): RetentionSettings | false;
export function retentionSettings(
  options: RetentionOptions | false | undefined,
): RetentionSettings | false | undefined;
export function retentionSettings(
  options: RetentionOptions | false | undefined,
): RetentionSettings | false | undefined {
  if (options === undefined || options === false) return options;
  checkOptions(options, OPTIONS, 'a retention', { within: 'retention' });
  const { every = DEFAULT_EVERY, ...limits } = options;
  try {
    checkLimits(limits);
  } catch (error) {
    if (!(error instanceof InvalidConfigError)) throw error;
    throw new InvalidConfigError(`retention.${error.field}`, error.problem);
  }
  return { limits, schedule: scheduleOf(every, 'retention.every') };
}

/** @throws InvalidConfigError naming the field */
export function checkLimits(limits: RetentionLimits): void {
  checkOptions(limits, LIMITS, 'a retention');
  const { keepLast, olderThan, deadLettersOlderThan } = limits;
  checkAges({ keepLast, olderThan, deadLettersOlderThan });
  if ([keepLast, olderThan, deadLettersOlderThan].every((limit) => limit === undefined)) {
    throw new InvalidConfigError('keepLast', 'or olderThan or deadLettersOlderThan must be given');
  }
}

/** A duration, or a cron pattern. @throws InvalidConfigError naming the field */
export function scheduleOf(every: number | string, field: string): RetentionSettings['schedule'] {
  const ms = typeof every === 'string' ? parseDuration(every) : every;
  if (typeof ms === 'number' && ms >= EVERY_MS.min && ms <= EVERY_MS.max) return { every: Math.round(ms) };
  const pattern = { pattern: String(every), tz: 'UTC' };
  if (typeof every === 'string' && ms === undefined && isCron(pattern)) return pattern;
  throw new InvalidConfigError(
    field,
    `must be ${DURATION_FORM}, of one second to one year, or a cron pattern`,
  );
}

/** Five or six fields; the parser takes a single word as well. */
function isCron(repeat: { pattern: string; tz: string }): boolean {
  try {
    return repeat.pattern.trim().split(/\s+/).length >= 5 && getNextMillis(Date.now(), repeat) !== undefined;
  } catch {
    return false;
  }
}

/** The settings of the environment, as `SETTINGS` has them. */
export interface RetentionEnvironment {
  readonly retentionKeepLast: number | undefined;
  readonly retentionOlderThan: string | undefined;
  readonly retentionDeadLettersOlderThan: string | undefined;
  readonly retentionEvery: string;
}

/** `false` where nothing is to be removed: what was scheduled before is taken back. */
export function retentionOfEnvironment(settings: RetentionEnvironment): RetentionOptions | false {
  const { retentionKeepLast, retentionOlderThan, retentionDeadLettersOlderThan, retentionEvery } = settings;
  const ms = (duration: string | undefined) => (duration === undefined ? undefined : parseDuration(duration));
  const given = {
    keepLast: retentionKeepLast,
    olderThan: ms(retentionOlderThan),
    deadLettersOlderThan: ms(retentionDeadLettersOlderThan),
  };
  const limits = Object.entries(given).filter(([, limit]) => limit !== undefined);
  return limits.length === 0 ? false : { ...Object.fromEntries(limits), every: retentionEvery };
}
