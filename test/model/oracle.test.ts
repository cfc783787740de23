import { describe, expect, it } from 'vitest';
import type { Answer, Failure, Save } from './history.js';
import {
  answer,
  at,
  complaints,
  finalAnswer,
  read,
  removal,
  row,
  save,
  type Times,
} from './sample-history.js';

const old = save('old', 'a', 1, 10, at(1));
const young = save('young', 'a', 1, 20, at(2));
const high = save('high', 'a', 9, 15, at(1, 2, 1));

describe('what is stored', () => {
  it('is the highest version of an id, then the highest sequence', () => {
    expect(complaints({ saves: [old, young], rows: [row(young)] })).toEqual([]);
    expect(complaints({ saves: [old, young, high], rows: [row(high)] })).toEqual([]);
    expect(complaints({ saves: [old, young], rows: [row(old)] })).toEqual([
      'save young (a v1 #20) is gone, and no delete can have removed it',
    ]);
    expect(complaints({ saves: [old, young, high], rows: [row(young)] })).not.toEqual([]);
    expect(complaints({ saves: [old], rows: [] })).not.toEqual([]);
  });

  it('was saved like that, once', () => {
    expect(complaints({ saves: [old], rows: [{ ...row(old), version: 2 }] })).toEqual([
      'the row of old is not what was saved',
    ]);
    expect(complaints({ saves: [old], rows: [{ ...row(old), sequence: 11 }] })).not.toEqual([]);
    expect(complaints({ saves: [old], rows: [row(old), row(old)] })).toEqual(['a is stored twice']);
    expect(complaints({ rows: [row(old)] })).not.toEqual([]);
  });

  it('has sequences in the order of the saves', () => {
    const swapped = save('swapped', 'c', 1, 5, at(2));
    expect(complaints({ saves: [old, swapped], rows: [row(old), row(swapped)] })).toEqual([
      'save old (a v1 #10) and save swapped (c v1 #5) have their sequences in the wrong order',
    ]);
    const same = save('same', 'c', 1, 10, at(1, 1, 1));
    expect(complaints({ saves: [old, same], rows: [row(old), row(same)] })).not.toEqual([]);
    const notAwaited = save('not awaited', 'c', 1, 9, { ...at(1, 3), called: 11 });
    expect(complaints({ saves: [old, notAwaited], rows: [row(old), row(notAwaited)] })).not.toEqual([]);
  });
});

describe.each([
  ['delete', 'checkpoint', 'a'],
  ['clear', 'execution', 'x'],
] as const)('%s', (_, scope, key) => {
  const after = removal(scope, key, at(3));
  const during = removal(scope, key, at(1, 4, 1));
  const later = save('later', 'a', 0, 30, at(4));

  it('removes what was acknowledged before', () => {
    expect(complaints({ saves: [old, young], removals: [after] })).toEqual([]);
    expect(complaints({ saves: [old], removals: [after], rows: [row(old)] })).toEqual([
      expect.stringContaining('save old (a v1 #10) is not deleted, in spite of'),
    ]);
  });

  it('removes nothing that is saved after it returned, whatever its version', () => {
    expect(complaints({ saves: [high, later], removals: [after], rows: [row(later)] })).toEqual([]);
    expect(complaints({ saves: [high, later], removals: [after] })).toEqual([
      expect.stringContaining('save later (a v0 #30) is gone'),
    ]);
    expect(complaints({ saves: [high, later], removals: [after], rows: [row(high)] })).not.toEqual([]);
  });

  it('removes what the same producer saved before it, acknowledged or not', () => {
    const slow = save('slow', 'a', 1, 40, at(2, 5));
    expect(complaints({ saves: [slow], removals: [after], rows: [row(slow)] })).not.toEqual([]);
    expect(complaints({ saves: [{ ...slow, producer: 1 }], removals: [after], rows: [row(slow)] })).toEqual(
      [],
    );
  });

  it('may remove what is concurrent or not, up to one sequence', () => {
    const [first, second] = [save('first', 'a', 1, 10, at(2)), save('second', 'a', 0, 20, at(3))];
    for (const rows of [[], [row(first)], [row(second)]])
      expect(complaints({ saves: [first, second], removals: [during], rows })).toEqual([]);
    expect(
      complaints({
        saves: [first, second],
        removals: [during],
        answers: [finalAnswer(second, 'deleted')],
        rows: [row(first)],
      }),
    ).not.toEqual([]);
  });

  it('leaves other keys alone', () => {
    const other = save('other', 'c', 1, 10, at(1));
    expect(complaints({ saves: [other], removals: [after], rows: [row(other)] })).toEqual([]);
    expect(complaints({ saves: [other], removals: [after] })).not.toEqual([]);
  });
});

it('clear removes of all ids up to one sequence', () => {
  const [a, b] = [save('first', 'a', 1, 10, at(2)), save('second', 'b', 1, 20, at(3))];
  const removals = [removal('execution', 'x', at(1, 4, 1))];
  expect(complaints({ saves: [a, b], removals, rows: [row(b)] })).toEqual([]);
  expect(complaints({ saves: [a, b], removals, rows: [row(a)] })).toEqual([
    'save second (b v1 #20) is gone, and no delete can have removed it',
  ]);
});

describe('a save that gave way to a higher version which a clear removed then', () => {
  const winner = save('winner', 'b', 3, 10, at(1));
  const other = save('other', 'a', 1, 20, at(2));
  const made = (times: Times) => save('made', 'b', 1, 30, times);
  const clear = removal('execution', 'x', at(1, 4, 1));

  it('may be gone, where it was made before the clear returned, whatever else is left', () => {
    const gone = made(at(3));
    expect(
      complaints({
        saves: [winner, other, gone],
        removals: [clear],
        rows: [row(other)],
        answers: [finalAnswer(gone, 'deleted')],
      }),
    ).toEqual([]);
  });

  it('must be there, where it was made afterwards', () => {
    const missed = made(at(5));
    expect(complaints({ saves: [winner, other, missed], removals: [clear], rows: [row(other)] })).toEqual([
      'save made (b v1 #30) is gone, and no delete can have removed it',
    ]);
  });
});

describe('a receipt', () => {
  const after = removal('checkpoint', 'a', at(3));

  it('says in the end what is stored', () => {
    const saves = [old, young];
    const rows = [row(young)];
    const said = (of: Save, outcome: Answer['outcome']) =>
      complaints({ saves, rows, answers: [finalAnswer(of, outcome)] });
    expect(said(young, 'committed')).toEqual([]);
    expect(said(old, 'superseded')).toEqual([]);
    expect(said(old, 'committed')).toEqual([
      'the receipt of save old (a v1 #10) says committed, stored is young',
    ]);
    expect(said(young, 'superseded')).not.toEqual([]);
    expect(said(old, 'deleted')).not.toEqual([]);
  });

  it('says deleted where it is', () => {
    const history = { saves: [old], removals: [after] };
    expect(complaints({ ...history, answers: [finalAnswer(old, 'deleted')] })).toEqual([]);
    expect(complaints({ ...history, answers: [finalAnswer(old, 'superseded')] })).not.toEqual([]);
    expect(complaints({ ...history, answers: [finalAnswer(old, 'committed')] })).not.toEqual([]);
  });

  it('said on the way what may have been true then', () => {
    const said = (of: Save, outcome: Answer['outcome'], times: Times) =>
      complaints({ saves: [old, young], removals: [after], answers: [answer(of, outcome, times)] });
    expect(said(old, 'committed', at(1, 2))).toEqual([]);
    expect(said(old, 'committed', at(4))).not.toEqual([]);
    expect(said(old, 'superseded', at(2))).toEqual([]);
    expect(said(old, 'superseded', at(1))).not.toEqual([]);
    expect(said(young, 'superseded', at(2))).not.toEqual([]);
    expect(said(old, 'deleted', at(2, 3))).toEqual([]);
    expect(said(old, 'deleted', at(2))).not.toEqual([]);
  });

  it('does not fail', () => {
    const failures: Failure[] = [{ what: 'the receipt of old', code: 'SAVE_LOST', ...at(2) }];
    expect(complaints({ saves: [old], rows: [row(old)], failures })).toEqual([
      'the receipt of old failed with SAVE_LOST',
    ]);
  });
});

describe('a latest read', () => {
  const after = removal('checkpoint', 'a', at(3));
  const other = save('other', 'b', 1, 12, at(1, 2, 1), 5);

  it.each([
    ['load', 'a'],
    ['list', 'x'],
    ['latest', 'x'],
  ] as const)('%s sees what was acknowledged before it began, and nothing older', (view, key) => {
    const seen = (of: Save[], times: Times) =>
      complaints({ saves: [old, young], rows: [row(young)], reads: [read(view, key, of, times)] });
    expect(seen([young], at(3))).toEqual([]);
    expect(seen([old], at(3))).toEqual([expect.stringContaining('young')]);
    expect(seen([], at(3))).toEqual([expect.stringContaining(view)]);
    expect(seen([old], at(1, 2))).toEqual([]);
    expect(seen([young], at(1))).toEqual([expect.stringContaining('before it was saved')]);
  });

  it.each([
    ['load', 'a'],
    ['list', 'x'],
    ['latest', 'x'],
  ] as const)('%s sees nothing that was deleted before it began', (view, key) => {
    const seen = (of: Save[], times: Times) =>
      complaints({ saves: [old], removals: [after], reads: [read(view, key, of, times)] });
    expect(seen([], at(4))).toEqual([]);
    expect(seen([old], at(4))).toEqual([expect.stringContaining('which is deleted by delete a')]);
    expect(seen([], at(2))).not.toEqual([]);
    for (const of of [[], [old]]) expect(seen(of, at(3, 4, 1))).toEqual([]);
  });

  it('does not miss a save because of a delete that would have removed what it shows too', () => {
    const removals = [removal('checkpoint', 'a', at(1, 4, 1))];
    const saves = [save('first', 'a', 1, 10, at(1)), save('second', 'a', 1, 20, at(2))];
    const reads = [read('load', 'a', saves.slice(0, 1), at(3))];
    expect(complaints({ saves, removals, reads, rows: [] })).not.toEqual([]);
  });

  it('lists in the order of time, then version, then saving', () => {
    const listed = (...of: Save[]) =>
      complaints({
        saves: [young, other],
        rows: [row(young), row(other)],
        reads: [read('list', 'x', of, at(3))],
      });
    expect(listed(young, other)).toEqual([]);
    expect(listed(other, young)).toEqual([expect.stringContaining('too late')]);
  });

  it('of the latest is the newest of all ids', () => {
    const seen = (...of: Save[]) =>
      complaints({
        saves: [young, other],
        rows: [row(young), row(other)],
        reads: [read('latest', 'x', of, at(3))],
      });
    expect(seen(other)).toEqual([]);
    expect(seen(young)).toEqual([expect.stringContaining('and b has something newer')]);
    expect(seen()).not.toEqual([]);
  });

  it('shows what was saved', () => {
    const changed = { ...young, version: 3 };
    const reads = [read('load', 'a', [changed], at(3))];
    expect(complaints({ saves: [young], rows: [row(young)], reads })).toEqual([
      'load shows young, which nobody saved',
    ]);
  });
});
