import { DURATION_FORM, parseDuration, parseTime } from '../duration.js';
import { InvalidRequestError } from './answers.js';

/** Texts of a query, or fields of a body, as they came: of any type, and of any name. */
export type Given = Readonly<Record<string, unknown>>;

/** @throws InvalidRequestError naming what is given and not known */
export function assertKnown(given: Given, known: readonly string[]): void {
  for (const name of Object.keys(given)) {
    if (!known.includes(name))
      throw new InvalidRequestError(JSON.stringify(name.slice(0, 100)), 'is not known');
  }
}

/** Undefined where it is not given. @throws InvalidRequestError naming it */
export function text(given: Given, name: string): string | undefined {
  const value = given[name];
  if (value === undefined || typeof value === 'string') return value;
  throw new InvalidRequestError(name, 'must be one text');
}

/** @throws InvalidRequestError naming it */
export function wholeNumber(
  given: Given,
  name: string,
  { fallback, maximum }: { fallback: number; maximum: number },
): number {
  const value = text(given, name) || String(fallback);
  const number = Number(value);
  if (/^\d{1,9}$/.test(value) && number >= 1 && number <= maximum) return number;
  throw new InvalidRequestError(name, `must be a whole number from 1 to ${maximum}`);
}

/** The first of the words where it is not given. @throws InvalidRequestError naming it */
export function oneOf<Word extends string>(
  given: Given,
  name: string,
  words: readonly [Word, ...Word[]],
): Word {
  const value = text(given, name) || words[0];
  const word = words.find((known) => known === value);
  if (word !== undefined) return word;
  throw new InvalidRequestError(name, `must be ${words.join(' or ')}`);
}

/** @throws InvalidRequestError naming it */
export function flag(given: Given, name: string): boolean {
  return oneOf(given, name, ['false', 'true']) === 'true';
}

/** @throws InvalidRequestError naming it */
export function time(given: Given, name: string): Date | undefined {
  const value = text(given, name);
  if (value === undefined) return undefined;
  const date = parseTime(value);
  if (date) return date;
  throw new InvalidRequestError(name, 'must be a time in ISO 8601, as 2026-01-31T12:00:00Z');
}

/** Milliseconds. @throws InvalidRequestError naming it */
export function age(given: Given, name: string): number | undefined {
  const value = text(given, name);
  if (value === undefined) return undefined;
  const ms = parseDuration(value);
  if (ms === undefined) throw new InvalidRequestError(name, `must be ${DURATION_FORM}`);
  return ms;
}

/** What is left when a form has sent its empty fields too. */
export function filledIn(given: unknown): Given {
  return Object.fromEntries(Object.entries(given ?? {}).filter(([, value]) => value !== ''));
}

/** The fields of a JSON object. @throws InvalidRequestError */
export function fieldsOf(value: unknown, name = 'body'): Given {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Given;
  throw new InvalidRequestError(name, 'must be an object');
}
