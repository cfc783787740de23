import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseStoredJson, serializeJson } from '../src/json.js';
import { jsonValue, trickyText } from './contract/json-values.js';

describe('JSON for JSONB', () => {
  it('comes back equal, whatever JSON.stringify can produce', () => {
    const comesBack = fc.property(jsonValue(), (value) => {
      const stored = serializeJson(value) as string;
      return isDeepStrictEqual(parseStoredJson(stored), JSON.parse(JSON.stringify(value)));
    });
    fc.assert(comesBack, { numRuns: 5000 });
  });

  it('never holds what JSONB refuses: U+0000 and lone surrogates, written out or escaped', () => {
    const holdable = fc.property(jsonValue(), (value) => {
      const stored = serializeJson(value) as string;
      const unescaped = stored.replaceAll('\\\\', '');
      return !/\\u(0000|d[89a-f])/i.test(unescaped) && !/[\0\p{Surrogate}]/u.test(stored);
    });
    fc.assert(holdable, { numRuns: 5000 });
  });

  it('gives different texts to different values', () => {
    const injective = fc.property(trickyText(), trickyText(), (a, b) => {
      return (a === b) === (serializeJson(a) === serializeJson(b));
    });
    fc.assert(injective, { numRuns: 5000 });
  });

  it.each([
    ['\0', '"\\u001a0"'],
    ['\ud83d', '"\\u001ad83d"'],
    ['\u001a', '"\\u001a\\u001a"'],
    ['\\u0000', '"\\\\u0000"'],
    ['\\\0', '"\\\\\\u001a0"'],
    ['\u001b plain 😀', '"\\u001b plain 😀"'],
  ])('writes %j as %s', (value, stored) => {
    expect(serializeJson(value)).toBe(stored);
    expect(parseStoredJson(stored)).toBe(value);
  });

  it.each([undefined, () => {}, Symbol('s'), { toJSON: () => undefined }])(
    'has no text where JSON.stringify has none',
    (value) => {
      expect(serializeJson(value)).toBeUndefined();
    },
  );

  it.each(['"a\\u001a"', '"\\u001ax"', '"\\u001aD800"', '{"\\u001a":1}'])(
    'leaves a SUB that another program wrote as it is: %s',
    (text) => {
      expect(parseStoredJson(text)).toEqual(JSON.parse(text));
    },
  );

  it('keeps a key __proto__ a key', () => {
    const value = JSON.parse('{"__proto__": {"polluted": "\\u0000"}}');
    const stored = parseStoredJson(serializeJson(value) as string) as object;
    expect(Object.keys(stored)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(stored)).toBe(Object.prototype);
    expect(isDeepStrictEqual(stored, value)).toBe(true);
    expect(isDeepStrictEqual(stored, {})).toBe(false);
  });
});
