import {
  checkFilter,
  checkSelection,
  type DeadLetterFilter,
  type DeadLetterSelection,
} from '../dead-letters/dead-letter-filter.js';
import { InvalidRequestError } from './answers.js';
import { age, assertKnown, fieldsOf, filledIn, type Given, text, time } from './parameters.js';

/** What a query calls a filter, and what a body calls it. */
const EXECUTION = { query: 'execution', body: 'executionId' };
const OTHERS = ['idPrefix', 'sqlState', 'since', 'until', 'olderThan'];

/** The filters of a query; empty ones count as not given. @param others parameters that are somebody else's business. @throws InvalidRequestError, InvalidFilterError */
export function filterOfQuery(query: unknown, others: readonly string[] = []): DeadLetterFilter {
  const given = filledIn(query);
  assertKnown(given, [EXECUTION.query, ...OTHERS, ...others]);
  return filterOf(given, EXECUTION.query);
}

/** What a replay or a purge is to work on. @throws InvalidRequestError, InvalidFilterError */
export function selectionOfBody(body: unknown): DeadLetterSelection {
  const given = fieldsOf(body);
  assertKnown(given, ['ids', 'filter', 'all']);
  const selection = {
    ...given,
    ...(given.filter !== undefined && { filter: filterOfBody(given.filter) }),
  } as unknown as DeadLetterSelection;
  checkSelection(selection);
  return selection;
}

function filterOfBody(filter: unknown): DeadLetterFilter {
  const given = fieldsOf(filter, 'filter');
  assertKnown(given, [EXECUTION.body, ...OTHERS]);
  return filterOf(given, EXECUTION.body);
}

function filterOf(given: Given, execution: string): DeadLetterFilter {
  const filter: DeadLetterFilter = {
    executionId: text(given, execution),
    idPrefix: text(given, 'idPrefix'),
    sqlState: text(given, 'sqlState'),
    since: time(given, 'since'),
    until: time(given, 'until'),
    olderThan: age(given, 'olderThan'),
  };
  if (filter.executionId === '') throw new InvalidRequestError(execution, 'must not be empty');
  checkFilter(filter);
  return filter;
}
