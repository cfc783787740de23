import { describe, expect, it } from 'vitest';
import { figuresByKind, figuresOf, quantiles } from './fault-figures.js';
import type { FaultRecord } from './fault-stream.js';
import { memoryTrend } from './memory.js';
import { readOptions, UsageError } from './options.js';
import { PoisonLedger } from './poison.js';

describe('options of a chaos run', () => {
  it('have defaults, and a seed that is drawn', () => {
    const [one, other] = [readOptions([]), readOptions([])];
    expect(one).toMatchObject({ minutes: 10, jsonFile: undefined, replays: true });
    expect(one?.seed).not.toBe(other?.seed);
    expect(readOptions(['--help'])).toBeUndefined();
  });

  it('are read', () => {
    const args = ['--minutes', '0.5', '--seed', '7', '--json', 'report.json', '--no-replays'];
    expect(readOptions(args)).toEqual({
      minutes: 0.5,
      seed: 7,
      rights: false,
      serversOnly: false,
      jsonFile: 'report.json',
      replays: false,
    });
  });

  it.each([
    ['--minutes', '0'],
    ['--minutes', 'long'],
    ['--seed', '1.5'],
    ['--seed', '-1'],
    ['--json', ''],
    ['--no'],
  ])('are refused: %s %s', (...args) => {
    expect(() => readOptions(args)).toThrow(UsageError);
  });
});

describe('figures', () => {
  it('of quantiles are measured values', () => {
    expect(quantiles([30, undefined, 10, 20])).toEqual({ count: 3, p50: 20, p99: 30, max: 30 });
    expect(quantiles([undefined])).toEqual({ count: 0, p50: null, p99: null, max: null });
  });

  it('of faults tell those that no other fault met', () => {
    const record = (kind: string, began: number, commitMs: number): FaultRecord => ({
      ...{ kind, detail: '', began, ended: began + 10, commitMs, backlogMs: commitMs },
      recovered: began + 10 + commitMs,
    });
    const log = [record('a', 0, 5), record('a', 100, 50), record('b', 140, 1)];
    expect(figuresOf(log)).toMatchObject({
      made: 3,
      commitMs: { count: 3, p50: 5 },
      commitAloneMs: { count: 1, p99: 5 },
    });
    expect(Object.keys(figuresByKind(log))).toEqual(['a', 'b']);
    expect(figuresByKind(log).b?.commitAloneMs.count).toBe(0);
  });

  it('of memory are a line through what comes after the start', () => {
    const grownUp = Array.from({ length: 20 }, (_, second) => ({
      at: 10_000 + second * 1000,
      bytes: 5000 + second,
    }));
    const start = Array.from({ length: 10 }, (_, second) => ({ at: second * 1000, bytes: second * 500 }));
    expect(memoryTrend([...start, ...grownUp])).toEqual({
      samples: 30,
      firstBytes: 0,
      lastBytes: 5019,
      highestBytes: 5019,
      bytesPerMinute: 60,
    });
    expect(memoryTrend(start)?.bytesPerMinute).toBeNull();
  });
});

describe('the ledger of poison', () => {
  const letter = (id: string, sequence: number, replays = 0) => ({
    ...{ id, sequence, sqlState: '23514' },
    deadLetterId: replays ? `d-${sequence}-${replays}` : `d-${sequence}`,
  });

  async function ledgerOf(
    acknowledged: Record<string, number>,
    refused: string[] = [],
  ): Promise<PoisonLedger> {
    const ledger = new PoisonLedger();
    for (const [id, sequence] of Object.entries(acknowledged))
      await ledger.save(id, 'constraint', async () => ({ sequence }));
    for (const id of refused) {
      await ledger.save(id, 'constraint', () => Promise.reject(new Error('away'))).catch(() => {});
    }
    return ledger;
  }

  it('finds nothing wrong where each is kept once; of what was not acknowledged either is right', async () => {
    const ledger = await ledgerOf({ a: 1, b: 2 }, ['c', 'd']);
    const verdict = { missing: [], duplicates: [], unexpected: [] };
    expect(ledger.judge([letter('a', 1), letter('b', 2, 3), letter('c', 3)])).toEqual({
      ...verdict,
      expected: 2,
      found: 3,
    });
  });

  it('names what is missing, kept twice, or should be none', async () => {
    const ledger = await ledgerOf({ a: 1, b: 2, c: 3, d: 4 });
    const otherReason = { ...letter('d', 4), sqlState: null };
    const found = [letter('b', 2), letter('b', 2, 1), letter('c', 9), otherReason, letter('good', 5)];
    expect(ledger.judge(found)).toEqual({
      ...{ expected: 4, found: 4, missing: ['a'] },
      duplicates: ['b is kept as d-2 and d-2-1'],
      unexpected: ['c (sequence 9, 23514)', 'd (sequence 4, no SQLSTATE)', 'good (sequence 5, 23514)'],
    });
  });

  it('knows with which SQLSTATE each is refused', async () => {
    const ledger = new PoisonLedger();
    await ledger.save('a', 'trigger', async () => ({ sequence: 1 }));
    expect(ledger.judge([{ ...letter('a', 1), sqlState: 'P0001' }]).unexpected).toEqual([]);
    expect(ledger.judge([letter('a', 1)]).unexpected).toEqual(['a (sequence 1, 23514)']);
  });
});
