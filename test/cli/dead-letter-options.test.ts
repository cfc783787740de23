import { describe, expect, it } from 'vitest';
import { filterOf, selectionOf } from '../../src/cli/dead-letters.js';

describe('the filter options of ckpt dead', () => {
  it('become a filter', () => {
    expect(
      filterOf({
        execution: 'run',
        idPrefix: 'x:',
        sqlstate: '22P02',
        since: '2026-01-31',
        until: '2026-01-31T12:00:00+02:00',
        olderThan: '14d',
      }),
    ).toEqual({
      executionId: 'run',
      idPrefix: 'x:',
      sqlState: '22P02',
      since: new Date('2026-01-31T00:00:00Z'),
      until: new Date('2026-01-31T10:00:00Z'),
      olderThan: 14 * 86_400_000,
    });
    expect(filterOf({})).toEqual({});
    expect(['30s', '90m', '36h'].map((olderThan) => filterOf({ olderThan }).olderThan)).toEqual([
      30_000, 5_400_000, 129_600_000,
    ]);
  });

  it.each([
    ['--execution', { execution: '' }],
    ['--id-prefix', { idPrefix: '' }],
    ['--sqlstate', { sqlstate: '23' }],
    ['--since', { since: 'yesterday' }],
    ['--since', { since: '1' }],
    ['--until', { until: '2026-13-01' }],
    ['--until', { until: '2026-02-31' }],
    ['--since', { since: '2026-02-31T12:00:00Z' }],
    ['--older-than', { olderThan: '14' }],
    ['--older-than', { olderThan: '999999999d' }],
    ['--older-than', { olderThan: '-1d' }],
  ])('name %s where it is wrong', (field, options) => {
    expect(() => filterOf(options)).toThrow(expect.objectContaining({ code: 'USAGE', field }));
  });
});

describe('what a command works on', () => {
  it('is ids, or a filter, or all', () => {
    expect(selectionOf(['d-1'], {})).toEqual({ ids: ['d-1'] });
    expect(selectionOf([], { execution: 'run' })).toEqual({ filter: { executionId: 'run' } });
    expect(selectionOf([], { all: true })).toEqual({ all: true });
  });

  it.each([
    [[], {}],
    [['d-1'], { all: true }],
    [['d-1'], { execution: 'run' }],
    [[], { all: true, olderThan: '14d' }],
  ])('is never two of them, nor none: %j %j', (ids, options) => {
    expect(() => selectionOf(ids, options)).toThrow(expect.objectContaining({ code: 'USAGE', field: 'ids' }));
  });
});
