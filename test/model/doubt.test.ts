import { describe, expect, it } from 'vitest';
import { type Disturbance, type Failure, NO_PRODUCER } from './history.js';
import { at, complaints, read, removal, row, save } from './sample-history.js';

const cut = (producer: number, time: number): Disturbance => ({ kind: 'cut', ...at(time, time, producer) });
const damage = (from: number, to: number): Disturbance => ({ kind: 'damage', ...at(from, to, NO_PRODUCER) });
const failure = (code: string, from: number, to: number): Failure => ({
  what: 'save one',
  code,
  ...at(from, to),
});

describe('an operation may fail', () => {
  it('for a connection of its producer that was lost before it ended', () => {
    const failures = [failure('QUEUE_UNAVAILABLE', 3, 4)];
    expect(complaints({ failures, disturbances: [cut(0, 1)] })).toEqual([]);
    expect(complaints({ failures, disturbances: [cut(1, 1)] })).not.toEqual([]);
    expect(complaints({ failures, disturbances: [cut(0, 5)] })).not.toEqual([]);
    expect(complaints({ failures, disturbances: [damage(1, 5)] })).not.toEqual([]);
  });

  it('for the last sequence, while that is damaged', () => {
    const failures = [failure('SEQUENCE_OUT_OF_RANGE', 3, 4)];
    expect(complaints({ failures, disturbances: [damage(2, 3)] })).toEqual([]);
    expect(complaints({ failures, disturbances: [damage(1, 2)] })).not.toEqual([]);
    expect(complaints({ failures, disturbances: [damage(5, 6)] })).not.toEqual([]);
    expect(complaints({ failures, disturbances: [cut(0, 1)] })).not.toEqual([]);
  });
});

describe('a save that failed', () => {
  const sure = save('sure', 'a', 1, 10, at(1));
  const other = save('other', 'b', 1, 20, at(2));
  const doubtful = save('doubtful', 'a', 2, 30, at(3));

  it('may be stored and shown, or not', () => {
    for (const stored of [sure, doubtful]) {
      const reads = [read('load', 'a', [stored], at(5)), read('latest', 'x', [stored], at(5))];
      const rows = [row(stored), row(other)];
      expect(complaints({ saves: [sure, other], doubtful: [doubtful], rows, reads })).toEqual([]);
    }
  });

  it('excuses nothing of other ids', () => {
    const history = { saves: [sure, other], doubtful: [doubtful] };
    expect(complaints({ ...history, rows: [row(sure)] })).toEqual([expect.stringContaining('save other')]);
    const reads = [read('list', 'x', [sure], at(5))];
    expect(complaints({ ...history, rows: [row(sure), row(other)], reads })).toEqual([
      expect.stringContaining('misses save other'),
    ]);
  });
});

describe('a delete that failed', () => {
  const kept = save('kept', 'a', 1, 10, at(1));
  const failed = { ...removal('checkpoint', 'a', at(2)), failed: true };

  it('may have removed what was saved before, or not', () => {
    expect(complaints({ saves: [kept], removals: [failed] })).toEqual([]);
    expect(complaints({ saves: [kept], removals: [failed], rows: [row(kept)] })).toEqual([]);
  });

  it('removes nothing that was saved afterwards', () => {
    expect(complaints({ saves: [save('later', 'a', 1, 20, at(3))], removals: [failed] })).not.toEqual([]);
  });
});

it('a hostile number that was accepted is told', () => {
  expect(complaints({ accepted: ['it was imported'] })).toEqual(['it was imported']);
});
