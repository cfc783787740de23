import fc from 'fast-check';
import type { JsonValue } from '../../src/index.js';

/** What JSON, JSONB, COPY or the escape for JSONB could take for its own, cut into pieces that meet in any order. */
const PIECES = [
  '\0',
  '\u001a',
  '\ud800',
  '\udfff',
  '\ud83d',
  '\ude00',
  '😀',
  '\u{10ffff}',
  '\uffff',
  '\\',
  '\\N',
  '\\.',
  '\\u0000',
  'u001a',
  '0',
  'd800',
  'dfff',
  '"',
  '\t',
  '\n',
  '\r',
  '\u007f',
  '\u2028',
  '/',
  'é',
  '__proto__',
];

/** Any UTF-16, lone surrogates too; mostly of the pieces above. */
export function trickyText(): fc.Arbitrary<string> {
  const codeUnit = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code));
  return fc.oneof(
    { weight: 3, arbitrary: fc.string({ unit: fc.constantFrom(...PIECES), maxLength: 12 }) },
    { weight: 1, arbitrary: fc.string({ unit: codeUnit, maxLength: 12 }) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
  );
}

/** Any value that can be given to JSON.stringify and has a text; NaN and -0 are among the numbers. */
export function jsonValue(): fc.Arbitrary<JsonValue> {
  const { value } = fc.letrec<{ value: JsonValue }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constant(null),
      fc.boolean(),
      fc.double(),
      fc.maxSafeInteger(),
      trickyText(),
      fc.array(tie('value'), { maxLength: 5 }),
      // Object.fromEntries makes __proto__ a key like any other.
      fc.array(fc.tuple(trickyText(), tie('value')), { maxLength: 5 }).map(Object.fromEntries),
      nested(tie('value')),
    ),
  }));
  return value;
}

/** The value under up to 30 keys and list brackets. */
function nested(inner: fc.Arbitrary<JsonValue>): fc.Arbitrary<JsonValue> {
  const wrapper = fc.option(trickyText(), { nil: undefined });
  return fc
    .tuple(inner, fc.array(wrapper, { maxLength: 30 }))
    .map(([value, wrappers]) =>
      wrappers.reduce<JsonValue>(
        (wrapped, key) => (key === undefined ? [wrapped] : Object.fromEntries([[key, wrapped]])),
        value,
      ),
    );
}
