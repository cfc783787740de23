import { parseDeadLetterId } from '../chunk.js';
import { InvalidFilterError } from '../errors.js';
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
  olderThan: (value) =>
    typeof value === 'number' && value >= 0 ? undefined : 'must be a number of at least 0',
};

/**
 * A field that is not known is refused: without it, a `purge` would take more than was meant.
 * @param others fields that are somebody else's business
 * @throws InvalidFilterError naming the field
 */
export function checkFilter(filter: DeadLetterFilter, others: readonly string[] = []): void {
  if (typeof filter !== 'object' || filter === null)
    throw new InvalidFilterError('filter', 'must be an object');
  for (const [field, value] of Object.entries(filter)) {
    if (others.includes(field)) continue;
    const check = Object.hasOwn(CHECKS, field) ? CHECKS[field as keyof DeadLetterFilter] : undefined;
    if (!check) throw new InvalidFilterError(JSON.stringify(field), 'is not known');
    const problem = value === undefined ? undefined : check(value);
    if (problem) throw new InvalidFilterError(field, problem);
  }
}

/** @param others fields that are somebody else's business. @throws InvalidFilterError naming the field */
export function checkSelection(selection: DeadLetterSelection, others: readonly string[] = []): void {
  if (typeof selection !== 'object' || selection === null) {
    throw new InvalidFilterError('selection', 'must be an object');
  }
  const { ids, filter, all } = selection;
  const unknown = Object.keys(selection).find(
    (field) => !['ids', 'filter', 'all', ...others].includes(field),
  );
  if (unknown !== undefined) throw new InvalidFilterError(JSON.stringify(unknown), 'is not known');
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
