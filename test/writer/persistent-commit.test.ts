import { beforeEach, describe, expect, it, type Mock, vi } from 'vitest';
import { DatabaseError, type Logger } from '../../src/index.js';
import { NotCommitted } from '../../src/writer/held-write.js';
import { commitPersistently } from '../../src/writer/persistent-commit.js';

/** The waits between tries; they pass at once where a test says so. */
const time = vi.hoisted(() => ({ passes: false, waits: [] as number[] }));
vi.mock('node:timers/promises', async (original) => {
  const real = await original<typeof import('node:timers/promises')>();
  const setTimeout: typeof real.setTimeout = async (ms, value, options) => {
    time.waits.push(ms ?? 0);
    return real.setTimeout(time.passes ? 0 : ms, value, options);
  };
  return { ...real, setTimeout };
});
beforeEach(() => {
  Object.assign(time, { passes: false, waits: [] });
});

// What PostgreSQL answers is the subject of other tests; here the answers are given, for most of them would need a full
// disk, a failover or a wrong password.
type Write = (items: readonly string[]) => Promise<string>;

const NONE = { refused: [], setAside: [] };
const OPEN = new AbortController().signal;

function sqlError(sqlState: string | undefined): DatabaseError {
  return new DatabaseError('refused', sqlState);
}

function commit(
  items: readonly string[],
  write: Write,
  {
    signal = OPEN,
    createSchema = async () => {},
    culprit,
  }: {
    signal?: AbortSignal;
    createSchema?: () => Promise<void>;
    culprit?: (error: DatabaseError) => string | undefined;
  } = {},
) {
  const warn = vi.fn();
  const error = vi.fn();
  const logger: Logger = { debug: vi.fn(), info: vi.fn(), warn, error };
  const result = commitPersistently(items, { write, culprit, createSchema, logger, signal });
  return { result, warn, error };
}

/** Fails with these errors, one call each, then goes through. */
function failing(...errors: unknown[]): { write: Write; tries: () => number } {
  const calls = vi.fn();
  const left = [...errors];
  const write: Write = async (items) => {
    calls();
    if (left.length > 0) throw left.shift();
    return items.join('');
  };
  return { write, tries: () => calls.mock.calls.length };
}

/** The items of the calls that went through, in order. */
async function committedBy(write: Mock<Write>): Promise<string[]> {
  const calls = await Promise.allSettled(write.mock.results.map(({ value }) => value as Promise<string>));
  return calls.flatMap(({ status }, index) =>
    status === 'fulfilled' ? [...(write.mock.calls[index]?.[0] ?? [])] : [],
  );
}

describe('commitPersistently', () => {
  it('writes all items in one transaction', async () => {
    const write = vi.fn<Write>(async (items) => items.join(''));
    expect(await commit(['a', 'b', 'c'], write).result).toEqual(NONE);
    expect(write.mock.calls).toEqual([[['a', 'b', 'c']]]);
  });

  it.each([
    ['a lost connection', undefined],
    ['a connection exception', '08006'],
    ['a serialization failure', '40001'],
    ['a deadlock', '40P01'],
    ['a shutdown', '57P01'],
    ['too many connections', '53300'],
    ['a full disk', '53100'],
    ['a server that only reads', '25006'],
    ['a wrong password', '28P01'],
    ['a missing privilege', '42501'],
    ['a missing column', '42703'],
    ['an internal error', 'XX000'],
    ['an error that nobody knows', 'ZZ999'],
  ])('holds the batch through %s and commits it whole when that is over', async (_, sqlState) => {
    time.passes = true;
    const { write, tries } = failing(...Array.from({ length: 30 }, () => sqlError(sqlState)));
    const { result } = commit(['a', 'b'], write);
    expect(await result).toEqual(NONE);
    expect(tries()).toBe(31);
  });

  it.each([
    ['57P03', 25, 2000],
    ['53100', 500, 15_000],
    ['XX000', 500, 15_000],
  ])('waits after %s from %i up to %i ms, with jitter', async (sqlState, least, most) => {
    time.passes = true;
    const { write } = failing(...Array.from({ length: 40 }, () => sqlError(sqlState)));
    await commit(['a'], write).result;
    expect(time.waits[0]).toBeGreaterThanOrEqual(least);
    expect(time.waits[0]).toBeLessThanOrEqual(2 * least);
    const late = time.waits.slice(-20);
    expect(Math.min(...late)).toBeGreaterThanOrEqual(most / 2);
    expect(Math.max(...late)).toBeLessThanOrEqual(most);
    expect(new Set(late).size).toBeGreaterThan(10);
  });

  it('holds the batch through an exception that is no error of PostgreSQL, and tells only its name', async () => {
    time.passes = true;
    const { write } = failing(
      new RangeError('a secret'),
      Object.assign(new Error('a secret'), { code: 'EIO' }),
    );
    const { result, error } = commit(['a'], write);
    expect(await result).toEqual(NONE);
    expect(JSON.stringify(error.mock.calls)).toContain('RangeError');
    expect(JSON.stringify(error.mock.calls)).not.toContain('secret');
  });

  it('says once that it holds a batch, not at every try', async () => {
    time.passes = true;
    const { write } = failing(...Array.from({ length: 20 }, () => sqlError('57P03')));
    const { result, warn, error } = commit(['a'], write);
    await result;
    expect([warn.mock.calls.length, error.mock.calls.length]).toEqual([1, 0]);
  });

  it.each(['42P01', '3F000'])('creates the tables where they are missing: %s', async (sqlState) => {
    time.passes = true;
    const createSchema = vi.fn(async () => {});
    const { write } = failing(sqlError(sqlState));
    const { result } = commit(['a'], write, { createSchema });
    expect(await result).toEqual(NONE);
    expect(createSchema).toHaveBeenCalledOnce();
  });

  it('goes on where the tables cannot be created yet', async () => {
    time.passes = true;
    const createSchema = vi.fn().mockRejectedValueOnce(sqlError('42501')).mockResolvedValue(undefined);
    const { write } = failing(sqlError('42P01'), sqlError('42P01'));
    const { result, error } = commit(['a'], write, { createSchema });
    expect(await result).toEqual(NONE);
    expect(error).toHaveBeenCalled();
  });

  it.each(['22P05', '22021', '23502', '23514', '54000', '54001'])(
    'isolates what is refused for good with %s, and commits the rest in few transactions',
    async (sqlState) => {
      const items = Array.from({ length: 64 }, (_, i) => `${i}`);
      const bad = ['5', '6', '40'];
      const write = vi.fn<Write>(async (part) => {
        if (part.some((name) => bad.includes(name))) throw sqlError(sqlState);
        return part.join(' ');
      });
      const { refused } = await commit(items, write).result;
      expect(refused.map(({ item }) => item)).toEqual(bad);
      for (const { error } of refused) expect(error).toMatchObject({ sqlState });
      expect(await committedBy(write)).toEqual(items.filter((name) => !bad.includes(name)));
      expect(write.mock.calls.length).toBeLessThan(2 * 3 * Math.log2(64) + 3);
    },
  );

  it.each([
    ['one in the middle', ['31'], 4],
    ['the first and the last', ['0', '63'], 12],
    ['all of them', Array.from({ length: 64 }, (_, i) => `${i}`), 64],
  ])('isolates %s in few transactions where PostgreSQL names it', async (_, bad, most) => {
    const items = Array.from({ length: 64 }, (_unused, i) => `${i}`);
    const write = vi.fn<Write>(async (part) => {
      const first = part.find((name) => bad.includes(name));
      if (first !== undefined) throw new DatabaseError(first, '22P05');
      return part.join(' ');
    });
    const { refused } = await commit(items, write, { culprit: ({ message }) => message }).result;
    expect(refused.map(({ item }) => item).sort()).toEqual([...bad].sort());
    expect(await committedBy(write)).toEqual(items.filter((name) => !bad.includes(name)));
    expect(write.mock.calls.length).toBeLessThanOrEqual(most);
  });

  it('does not take an outage during the isolation for a refusal', async () => {
    time.passes = true;
    const { write } = failing(sqlError('22021'), sqlError('57P01'), sqlError(undefined));
    const { result } = commit(['a', 'b'], write);
    expect(await result).toEqual(NONE);
  });

  it('gives the items back when it is told to give up, also in the middle of a wait', async () => {
    const giveUp = new AbortController();
    let begun = () => {};
    const began = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const write: Write = async () => {
      begun();
      throw sqlError('53100');
    };
    const { result } = commit(['a', 'b'], write, { signal: giveUp.signal });
    await began;
    giveUp.abort();
    await expect(result).rejects.toBeInstanceOf(NotCommitted);
  });
});
