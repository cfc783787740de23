import { parseDeadLetterId } from '../chunk.js';
import { InvalidFilterError } from '../errors.js';
import { checkOptions, isObject, type KnownKeys } from '../known-keys.js';
import { isWithin } from '../numbers.js';
import type { DeadLetterJob } from '../redis/dead-letter-job.js';

/** Which dead letters. All that is given must hold. */
export interface DeadLetterFilter {
  executionId?: string;
  /** What the checkpoint's id begins with. */
  idPrefix?: string;
  /** PostgreSQL's code, such as `23514`. */
  sqlState?: string;
  /** Refused at this time or later; the last time counts. */
  since?: Date;
  /** Refused before this time; the last time counts. */
  until?: Date;
  /** Not refused within so many milliseconds before now. */
  olderThan?: number;
}

/** What `replay` and `purge` work on. Everything has to be asked for by name: an empty filter is refused. */
export type DeadLetterSelection =
  | { ids: readonly string[]; filter?: never; all?: never }
  | { filter: DeadLetterFilter; ids?: never; all?: never }
  | { all: true; ids?: never; filter?: never };

type Check = (value: unknown) => string | undefined;

const isText: Check = (value) =>
  typeof value === 'string' && value !== '' ? undefined : 'must be a string that is not empty';
const isTime: Check = (value) =>
  value instanceof Date && !Number.isNaN(value.getTime()) ? undefined : 'must be a valid Date';

const CHECKS: Record<keyof DeadLetterFilter, Check> = {
  executionId: isText,
  idPrefix: isText,
  sqlState: (value) =>
    typeof value === 'string' && /^[0-9A-Z]{5}$/.test(value)
      ? undefined
      : 'must be five digits or upper-case letters',
  since: isTime,
  until: isTime,
  olderThan: (value) => (isWithin(value, 0) ? undefined : 'must be a number of milliseconds, of at least 0'),
};

export const FILTERS = {
  executionId: true,
  idPrefix: true,
  sqlState: true,
  since: true,
  until: true,
  olderThan: true,
} satisfies KnownKeys<DeadLetterFilter>;

/**
 * A field that is not known is refused: without it, a `purge` would take more than was meant.
 * @throws InvalidFilterError naming the field
 */
export function checkFilter(filter: DeadLetterFilter): void {
  if (!isObject(filter)) throw new InvalidFilterError('filter', 'must be an object');
  checkOptions(filter, FILTERS, 'a filter of dead letters', { Refusal: InvalidFilterError });
  for (const [field, check] of Object.entries(CHECKS)) {
    const value = filter[field as keyof DeadLetterFilter];
    const problem = value === undefined ? undefined : check(value);
    if (problem) throw new InvalidFilterError(field, problem);
  }
}

/** @param others options of the call beside the selection. @throws InvalidFilterError naming the field */
export function checkSelection(
  selection: DeadLetterSelection,
  others: { of: string; options: Readonly<Record<string, true>> } = { of: 'a selection', options: {} },
): void {
  if (!isObject(selection)) throw new InvalidFilterError('selection', 'must be an object');
  const known = { ids: true, filter: true, all: true, ...others.options } as const;
  checkOptions(selection, known, others.of, { Refusal: InvalidFilterError });
  const { ids, filter, all } = selection;
  if ([ids, filter, all].filter((given) => given !== undefined).length !== 1) {
    throw new InvalidFilterError('selection', 'must be one of ids, filter and all');
  }
  if (all !== undefined && all !== true) throw new InvalidFilterError('all', 'must be true');
  if (ids !== undefined) checkIds(ids);
  if (filter === undefined) return;
  checkFilter(filter);
  if (isEmpty(filter)) throw new InvalidFilterError('filter', 'is empty; all of them are { all: true }');
}

export function isEmpty(filter: DeadLetterFilter): boolean {
  return Object.values(filter).every((value) => value === undefined);
}

function checkIds(ids: readonly string[]): void {
  if (!Array.isArray(ids)) throw new InvalidFilterError('ids', 'must be an array');
  for (const id of ids) {
    if (typeof id !== 'string' || !parseDeadLetterId(id)) {
      throw new InvalidFilterError('ids', 'must be ids of dead letters, as d-1700000000000000');
    }
  }
}

/** Whether a dead letter is meant, at one moment for all of them. */
export function matcherOf(filter: DeadLetterFilter, now = Date.now()): (job: DeadLetterJob) => boolean {
  const { executionId, idPrefix, sqlState, since, until, olderThan } = filter;
  return (job) =>
    (executionId === undefined || job.executionId === executionId) &&
    (idPrefix === undefined || job.id.startsWith(idPrefix)) &&
    (sqlState === undefined || job.sqlState === sqlState) &&
    (since === undefined || job.lastFailedAt >= since.getTime()) &&
    (until === undefined || job.lastFailedAt < until.getTime()) &&
    (olderThan === undefined || job.lastFailedAt < now - olderThan);
}
