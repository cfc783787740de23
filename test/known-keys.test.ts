import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkOptions, unknownKeyOf } from '../src/known-keys.js';

const KNOWN = { writer: true, executionId: true, maxQueueDepth: true } as const;

describe('unknownKeyOf', () => {
  it.each([
    ['wirter', '; did you mean writer?'],
    ['exectionId', '; did you mean executionId?'],
    ['execution_id', '; did you mean executionId?'],
    ['MAXQUEUEDEPTH', '; did you mean maxQueueDepth?'],
    ['colour', ''],
  ])('names %s and guesses what was meant', (key, hint) => {
    expect(unknownKeyOf({ writer: 1, [key]: 2 }, KNOWN)).toEqual({ name: key, key: `"${key}"`, hint });
  });

  it('takes an undefined value for a key that is not given, but not null', () => {
    expect(unknownKeyOf({ wirter: undefined }, KNOWN)).toBeUndefined();
    expect(unknownKeyOf({ wirter: null }, KNOWN)).toMatchObject({ name: 'wirter' });
  });

  it('does not take what every object inherits for known, nor for given', () => {
    for (const key of ['constructor', 'toString', 'hasOwnProperty', '__proto__']) {
      const given = JSON.parse(`{"${key}": 1}`) as object;
      expect(unknownKeyOf(given, KNOWN)).toMatchObject({ name: key });
    }
    expect(unknownKeyOf(Object.create({ wirter: 1 }) as object, KNOWN)).toBeUndefined();
  });

  it('cuts long keys, which may be data', () => {
    expect(unknownKeyOf({ ['x'.repeat(1_000_000)]: 1 }, KNOWN)?.key).toBe(`"${'x'.repeat(40)}…"`);
  });

  it('finds any key that is not in the list, and no other', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.oneof(fc.string(), fc.constantFrom(...Object.keys(KNOWN))), fc.anything()),
        (given) => {
          const unknown = Object.keys(given).find(
            (key) => !Object.keys(KNOWN).includes(key) && given[key] !== undefined,
          );
          expect(unknownKeyOf(given, KNOWN)?.name).toBe(unknown);
        },
      ),
    );
  });
});

it('checkOptions refuses what is no object, by the name of the argument', () => {
  for (const value of [null, undefined, 'text', 7, [], () => {}]) {
    expect(() => checkOptions(value, KNOWN, 'a test')).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', field: 'options' }),
    );
    expect(() => checkOptions(value, KNOWN, 'a test', { within: 'writer' })).toThrow(
      expect.objectContaining({ field: 'writer' }),
    );
  }
});
