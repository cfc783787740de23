import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldByKey } from '../../src/writer/checkpoint-sink.js';
import { IDS, Model, recordOf, type Save, saves } from './records.js';

/** Which saves of a batch are left to be written, in the order of their rounds. */
type Fold = (batch: readonly Save[]) => Save[];

const realFold: Fold = (batch) => {
  const bySequence = new Map(batch.map((save) => [save.sequence, save]));
  return foldByKey(batch.map(recordOf))
    .flat()
    .map(({ sequence }) => bySequence.get(sequence) as Save);
};

/** What is wrong and looks right: of each id the newest version alone. */
const foldByVersion: Fold = (batch) => {
  const newest = new Model();
  for (const save of batch) newest.save(save);
  return [...newest.stored.values()];
};

/** What is wrong as well: of each id the latest save alone. */
const foldBySequence: Fold = (batch) =>
  IDS.flatMap((id) =>
    batch
      .filter((save) => save.id === id)
      .sort((a, b) => b.sequence - a.sequence)
      .slice(0, 1),
  );

/** Two batches with a delete of an id before, between or after them: folded, they must leave what they leave unfolded. */
function changesNothing(fold: Fold): fc.IProperty<[Save[], Save[], number, number, string]> {
  const step = fc.nat({ max: 2 });
  const fence = fc.nat({ max: 60 });
  return fc.property(
    saves(),
    saves(),
    step,
    fence,
    fc.constantFrom(...IDS),
    (first, second, at, fenced, id) => {
      const later = second.map((save) => ({ ...save, sequence: save.sequence + 30.5 }));
      const left = (folded: Fold) => {
        const model = new Model();
        for (const [index, batch] of [first, later, []].entries()) {
          if (index === at) model.remove('checkpoint', id, fenced);
          for (const save of folded(batch)) model.save(save);
        }
        return new Map([...model.stored].sort(([a], [b]) => (a < b ? -1 : 1)));
      };
      expect(left(fold)).toEqual(left((batch) => [...batch]));
    },
  );
}

describe('foldByKey', () => {
  it('never changes what is left, wherever a tombstone stands', () => {
    const exact = changesNothing((batch) => realFold(batch.map(whole)).map(halved));
    fc.assert(exact, { numRuns: 1000 });
  });

  it('is held to a property that folds by version or by sequence alone do not keep', () => {
    expect(fc.check(changesNothing(foldByVersion), { numRuns: 1000 }).failed).toBe(true);
    expect(fc.check(changesNothing(foldBySequence), { numRuns: 1000 }).failed).toBe(true);
  });

  it('keeps version 1 that was saved after version 5: a delete may stand between them', () => {
    const save = { id: 'a', executionId: 'x' };
    const rounds = foldByKey([
      recordOf({ ...save, version: 5, sequence: 1 }),
      recordOf({ ...save, version: 1, sequence: 2 }),
    ]);
    expect(rounds.map((round) => round.map(({ sequence }) => sequence))).toEqual([[1], [2]]);
  });

  it('drops what is older in both, and what is delivered twice', () => {
    const save = { id: 'a', executionId: 'x' };
    const batch = [
      { ...save, version: 2, sequence: 4 },
      { ...save, version: 2, sequence: 3 },
      { ...save, version: 1, sequence: 4 },
      { ...save, version: 2, sequence: 4 },
    ];
    expect(foldByKey(batch.map(recordOf)).flat()).toHaveLength(1);
  });

  it('holds no key twice in a round', () => {
    const once = fc.property(saves(), (batch) => {
      const idOf = new Map(batch.map(({ sequence, id }) => [sequence, id]));
      for (const round of foldByKey(batch.map(recordOf))) {
        const ids = round.map(({ sequence }) => idOf.get(sequence));
        expect(new Set(ids).size).toBe(ids.length);
      }
    });
    fc.assert(once);
  });
});

// The records of the real fold hold whole sequences; those of the later batch lie between them.
function whole(save: Save): Save {
  return { ...save, sequence: save.sequence * 2 };
}

function halved(save: Save): Save {
  return { ...save, sequence: save.sequence / 2 };
}
