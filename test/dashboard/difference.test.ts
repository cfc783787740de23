import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '../../src/checkpoint.js';
import { type Change, differenceOf } from '../../src/dashboard/difference.js';

describe('the difference of two states', () => {
  it('names each place that was added, removed or changed', () => {
    const before = { step: 1, messages: [{ role: 'user' }, { role: 'tool' }], gone: null, same: { a: [1] } };
    const after = { step: 2, messages: [{ role: 'user' }, { role: 'agent' }, 'new'], same: { a: [1] } };
    expect(differenceOf(before, after)).toEqual({
      changes: [
        { path: ['step'], kind: 'changed', before: 1, after: 2 },
        { path: ['messages', 1, 'role'], kind: 'changed', before: 'tool', after: 'agent' },
        { path: ['messages', 2], kind: 'added', after: 'new' },
        { path: ['gone'], kind: 'removed', before: null },
      ],
      truncated: false,
    });
  });

  it.each<[JsonValue, JsonValue]>([
    [1, 2],
    [null, {}],
    [{}, []],
    [{ 0: 'a' }, ['a']],
    ['', null],
  ])('of %j and %j is the whole of them', (before, after) => {
    expect(differenceOf(before, after).changes).toEqual([{ path: [], kind: 'changed', before, after }]);
  });

  it('takes keys that every object inherits for keys', () => {
    const [before, after] = ['{"constructor":1,"__proto__":2}', '{"toString":3,"__proto__":4}'].map(
      (text) => JSON.parse(text) as JsonObject,
    ) as [JsonObject, JsonObject];
    expect(differenceOf(before, after).changes).toEqual([
      { path: ['constructor'], kind: 'removed', before: 1 },
      { path: ['__proto__'], kind: 'changed', before: 2, after: 4 },
      { path: ['toString'], kind: 'added', after: 3 },
    ]);
  });

  it('ends at its limit, and says so', () => {
    const [before, after] = [Array.from({ length: 5000 }, () => 0), Array.from({ length: 5000 }, () => 1)];
    const { changes, truncated } = differenceOf(before, after);
    expect({ count: changes.length, truncated }).toEqual({ count: 2000, truncated: true });
    expect(differenceOf(before.slice(0, 2000), after.slice(0, 2000)).truncated).toBe(false);
  });

  it('is nothing for equal states, and makes the one from the other for all', () => {
    const states = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<JsonValue>;
    fc.assert(
      fc.property(states, states, (before, after) => {
        expect(differenceOf(before, structuredClone(before)).changes).toEqual([]);
        expect(applied(before, differenceOf(before, after).changes)).toEqual(after);
      }),
    );
  });
});

/** What the changes make of a state. */
function applied(state: JsonValue, changes: readonly Change[]): JsonValue {
  const root = { state: structuredClone(state) };
  // From behind, so that what goes from an array moves nothing that is still to go.
  for (const { path, kind, after } of [...changes].reverse()) {
    const [last, ...above] = ['state', ...path].reverse() as [string, ...string[]];
    const parent = above.reverse().reduce<JsonObject>((at, key) => at[key] as JsonObject, root as JsonObject);
    if (kind !== 'removed')
      Object.defineProperty(parent, last, {
        value: after,
        writable: true,
        enumerable: true,
        configurable: true,
      });
    else if (Array.isArray(parent)) parent.splice(Number(last), 1);
    else delete parent[last];
  }
  return root.state;
}
