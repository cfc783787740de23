import type { Command } from 'commander';
import { required } from '../config.js';
import type { DeadLetter } from '../dead-letters/dead-letter.js';
import type { DeadLetterFilter, DeadLetterSelection } from '../dead-letters/dead-letter-filter.js';
import { DeadLetters } from '../dead-letters/dead-letters.js';
import { DURATION_FORM, parseDuration, parseTime } from '../duration.js';
import { conditionOf } from '../postgres/sqlstate.js';
import { textTable } from './checkpoint-text.js';
import { type CommandContext, type CommonOptions, UsageError } from './command.js';

export interface FilterOptions extends CommonOptions {
  execution?: string;
  idPrefix?: string;
  sqlstate?: string;
  since?: string;
  until?: string;
  olderThan?: string;
}

/** PostgreSQL is only needed to tell what became of what was replayed. */
export function openDeadLetters({ config, closing }: CommandContext): DeadLetters {
  const { postgres, queue, prefix, schema, table, enqueueTimeoutMs } = config;
  const redis = required(config, 'redis');
  return closing(new DeadLetters({ redis, postgres, queue, prefix, schema, table, enqueueTimeoutMs }));
}

export function addFilterOptions(command: Command): Command {
  return command
    .option('--execution <id>', 'of this execution')
    .option('--id-prefix <text>', 'of checkpoints whose id begins so')
    .option('--sqlstate <code>', 'refused with this SQLSTATE')
    .option('--since <time>', 'last refused at this ISO 8601 time or later')
    .option('--until <time>', 'last refused before this time')
    .option('--older-than <age>', 'last refused longer ago: 90m, 36h, 14d');
}

/** @throws UsageError naming the option */
export function filterOf(options: FilterOptions): DeadLetterFilter {
  const { execution, idPrefix, sqlstate, since, until, olderThan } = options;
  const given: DeadLetterFilter = {
    ...(execution !== undefined && { executionId: text('--execution', execution) }),
    ...(idPrefix !== undefined && { idPrefix: text('--id-prefix', idPrefix) }),
    ...(since !== undefined && { since: time('--since', since) }),
    ...(until !== undefined && { until: time('--until', until) }),
    ...(olderThan !== undefined && { olderThan: age('--older-than', olderThan) }),
  };
  if (sqlstate === undefined) return given;
  if (!/^[0-9A-Z]{5}$/.test(sqlstate)) {
    throw new UsageError('--sqlstate', 'must be five digits or upper-case letters');
  }
  return { ...given, sqlState: sqlstate };
}

/** What a command that changes something works on: exactly one of ids, filters and `--all`. @throws UsageError */
export function selectionOf(
  ids: readonly string[],
  options: FilterOptions & { all?: boolean },
): DeadLetterSelection {
  const filter = filterOf(options);
  const filtered = Object.keys(filter).length > 0;
  if ([ids.length > 0, filtered, options.all === true].filter(Boolean).length !== 1) {
    throw new UsageError('ids', 'or filters or --all must be given, and only one of them');
  }
  if (options.all) return { all: true };
  return filtered ? { filter } : { ids };
}

/** Dead letters as a table, without what they hold. */
export function deadLetterTable(letters: readonly DeadLetter[]): string[] {
  if (letters.length === 0) return ['no dead letters'];
  return textTable(
    ['dead letter', 'checkpoint', 'execution', 'sqlstate', 'last refused', 'replays', 'size'],
    letters.map((letter) => [
      letter.deadLetterId,
      letter.id,
      letter.executionId,
      refusalText(letter),
      letter.lastFailedAt.toISOString(),
      String(letter.replays),
      `${letter.bytes} B`,
    ]),
  );
}

function refusalText({ sqlState, constraint, column }: DeadLetter): string {
  if (sqlState === null) return '';
  const condition = conditionOf(sqlState);
  const name = constraint ?? column;
  return [sqlState, condition, name && `(${name})`].filter(Boolean).join(' ');
}

export function countText(count: number): string {
  return count === 1 ? '1 dead letter' : `${count} dead letters`;
}

function text(option: string, value: string): string {
  if (value === '') throw new UsageError(option, 'must not be empty');
  return value;
}

function time(option: string, value: string): Date {
  const date = parseTime(value);
  if (date === undefined) {
    throw new UsageError(option, 'must be a time in ISO 8601, as 2026-01-31 or 2026-01-31T12:00:00Z');
  }
  return date;
}

/** Milliseconds. @throws UsageError */
export function age(option: string, value: string): number {
  const ms = parseDuration(value);
  if (ms === undefined) throw new UsageError(option, `must be ${DURATION_FORM}`);
  return ms;
}
