import fc from 'fast-check';

/** What was acknowledged, in an order of its own, some of it delivered again, split into batches. */
export function deliveriesOf<T>(acknowledged: fc.Arbitrary<T[]>, maxBatch: number): fc.Arbitrary<T[][]> {
  return acknowledged.chain((given) => {
    const all = fc.shuffledSubarray(given, { minLength: given.length });
    const again = fc.shuffledSubarray(given);
    const cuts = fc.array(fc.integer({ min: 1, max: maxBatch }), { minLength: 1, maxLength: 6 });
    return fc.tuple(all, again, cuts).map(([first, second, sizes]) => split([...first, ...second], sizes));
  });
}

function split<T>(list: readonly T[], sizes: readonly number[]): T[][] {
  const batches: T[][] = [];
  for (let from = 0; from < list.length; ) {
    const size = sizes[batches.length % sizes.length] as number;
    batches.push(list.slice(from, from + size));
    from += size;
  }
  return batches;
}
