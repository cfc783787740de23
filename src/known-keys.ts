import { InvalidConfigError, type InvalidFilterError } from './errors.js';
import { didYouMean } from './nearest.js';

/** The keys of an options object. A list that `satisfies` this for an interface cannot drift from it: the compiler compares them. */
export type KnownKeys<T> = Readonly<Record<keyof T, true>>;

type Keys = Readonly<Record<string, true>>;

export interface UnknownKey {
  readonly name: string;
  /** In quotes, and cut where it is long. */
  readonly key: string;
  /** `; did you mean X?`, or nothing. */
  readonly hint: string;
}

/** Longer keys are cut in messages: they may be data. */
const MAX_KEY_LENGTH = 40;

/** The first key of the object that is not known. A key whose value is undefined counts as absent, as in `{ ...options, writer: undefined }`. */
export function unknownKeyOf(given: object, known: Keys): UnknownKey | undefined {
  const name = Object.keys(given).find(
    (key) => !Object.hasOwn(known, key) && (given as Record<string, unknown>)[key] !== undefined,
  );
  if (name === undefined) return undefined;
  const cut = name.length > MAX_KEY_LENGTH ? `${name.slice(0, MAX_KEY_LENGTH)}…` : name;
  return { name, key: JSON.stringify(cut), hint: didYouMean(cut, Object.keys(known)) };
}

export interface OptionsCheck {
  /** The option that they are the value of. */
  readonly within?: string;
  /** Names that people know from elsewhere, and what to do instead. */
  readonly hints?: Readonly<Record<string, string>>;
  readonly Refusal?: typeof InvalidFilterError;
}

/**
 * Options come from JavaScript and JSON too: a misspelt one must not pass for one that is not given.
 * @param of whose options they are, for the message
 * @throws InvalidConfigError, or `Refusal`, naming the key, or what is no object
 */
export function checkOptions(
  given: unknown,
  known: Keys,
  of: string,
  { within, hints = {}, Refusal = InvalidConfigError }: OptionsCheck = {},
): void {
  if (!isObject(given)) throw new Refusal(within ?? 'options', 'must be an object');
  const unknown = unknownKeyOf(given, known);
  if (unknown === undefined) return;
  const { name, hint } = unknown;
  const instead = Object.hasOwn(hints, name) ? `: ${hints[name]}` : hint;
  const none = Object.keys(known).length === 0 ? ', which has none' : '';
  const field = within === undefined ? unknown.key : `${within}.${unknown.key}`;
  throw new Refusal(field, `is not an option of ${of}${none}${instead}`);
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether a copy of the object has what it says: that of a URL, or a Map, has nothing. */
export function isCopyable(value: unknown): value is object {
  if (!isObject(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
  return isPlain || Object.keys(value).length > 0;
}

/** The options of a larger configuration that are known here. */
export function pickKnown<T extends object, K extends string>(
  given: T,
  known: Readonly<Record<K, true>>,
): Pick<T, K & keyof T> {
  const keys = (Object.keys(known) as (K & keyof T)[]).filter((key) => key in given);
  return Object.fromEntries(keys.map((key) => [key, given[key]])) as Pick<T, K & keyof T>;
}
