import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { estimateJsonBytes } from '../src/json-size.js';

const message = (content: string) => ({ role: 'assistant', content, tokens: [1, 22, 333] });
const cycle: Record<string, unknown> = { text: 'x' };
cycle.self = [cycle, { cycle }];

describe('estimateJsonBytes', () => {
  it.each<[what: string, value: unknown]>([
    ['a text', 'x'.repeat(100_000)],
    ['a text of characters of two bytes', 'ä'.repeat(100_000)],
    ['a text of characters of three bytes', '字'.repeat(100_000)],
    ['a text of characters of four bytes', '🙂'.repeat(100_000)],
    ['a text of characters that are escaped', '\u0000'.repeat(100_000)],
    ['a long array', Array.from({ length: 100_000 }, (_, i) => message(`${i}`))],
    ['a matrix', Array.from({ length: 300 }, () => Array.from({ length: 300 }, (_, i) => i / 7))],
    [
      'an object of many keys',
      Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`key ${i}`, 'value'])),
    ],
    [
      'a long array within an object',
      { step: 1, messages: Array.from({ length: 5000 }, () => message('hello')) },
    ],
  ])('is about right for %s', (_, value) => {
    const bytes = Buffer.byteLength(JSON.stringify(value));
    expect(estimateJsonBytes(value)).toBeGreaterThan(bytes / 2);
    expect(estimateJsonBytes(value)).toBeLessThan(bytes * 2);
  });

  it('is about right for every small JSON value', () => {
    const check = (value: fc.JsonValue) => {
      const bytes = Buffer.byteLength(JSON.stringify(value));
      expect(estimateJsonBytes(value)).toBeGreaterThanOrEqual(bytes / 8);
      expect(estimateJsonBytes(value)).toBeLessThanOrEqual(20 + bytes * 8);
    };
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 5 }), check));
  });

  it.each<[what: string, value: unknown]>([
    ['a cycle', cycle],
    ['a function', () => {}],
    ['undefined', undefined],
    ['a BigInt', 1n],
    [
      'a getter that throws',
      {
        get text() {
          throw new Error('no');
        },
      },
    ],
    ['a revoked proxy', revoked()],
    ['a very deep array', Array.from({ length: 100_000 }).reduce((inner) => [inner], [])],
  ])('gives some small number for %s', (_, value) => {
    expect(estimateJsonBytes(value)).toBeLessThan(2000);
  });

  it('looks at a bounded number of values, whatever the size', () => {
    let looks = 0;
    const counting = <T extends object>(value: T): T =>
      new Proxy(value, {
        get: (target, key) => {
          looks++;
          return Reflect.get(target, key);
        },
      });
    const row = counting(Array.from({ length: 1000 }, () => counting(message('x'))));
    estimateJsonBytes(counting(Array.from({ length: 1000 }, () => row)));
    expect(looks).toBeLessThan(10_000);
  });
});

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
