import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { DatabaseError } from '../../src/index.js';
import { refusedStatement } from '../../src/postgres/database-errors.js';
import { commitPersistently } from '../../src/writer/persistent-commit.js';

vi.mock('node:timers/promises', async (original) => {
  const real = await original<typeof import('node:timers/promises')>();
  const setTimeout: typeof real.setTimeout = (_ms, value, options) => real.setTimeout(0, value, options);
  return { ...real, setTimeout };
});

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** As PostgreSQL refuses a statement; by a trigger's RAISE, or by itself. */
function refusal(sqlState: string, { raised = false } = {}): DatabaseError {
  const cause = { routine: raised ? 'exec_stmt_raise' : 'ExecInsert' };
  return refusedStatement(new DatabaseError('refused', sqlState, { cause })) as DatabaseError;
}

type Fails = (call: number) => DatabaseError | undefined;

/** A server that refuses these items, each with its error, and everything while `outage` says so. */
function server(bad: Record<string, DatabaseError>, outage: Fails = () => undefined, others = true) {
  const committed: string[] = [];
  let calls = 0;
  const ask = () => {
    const away = outage(calls++);
    if (away) throw away;
  };
  const commit = (items: readonly string[]) =>
    commitPersistently(items, {
      write: async (part) => {
        ask();
        for (const item of part) if (bad[item]) throw bad[item];
        committed.push(...part);
      },
      writeNothing: async () => ask(),
      takesAnother: async () => {
        try {
          ask();
          return others;
        } catch {
          return false;
        }
      },
      createSchema: async () => {},
      logger: silent,
      signal: new AbortController().signal,
    });
  return { committed, commit, calls: () => calls };
}

const ITEMS = Array.from({ length: 20 }, (_, index) => `${index}`);
const without = (...left: string[]) => ITEMS.filter((item) => !left.includes(item));

describe('a record that is refused alone while others are taken', () => {
  it.each(['P0001', '42501', 'XX000', '0A000', '42P01', '22P04', 'ZZ999'])(
    'by PostgreSQL itself with %s, is to blame',
    async (sqlState) => {
      const { commit, committed } = server({ 7: refusal(sqlState) });
      expect(await commit(ITEMS)).toMatchObject({
        refused: [{ item: '7', error: { sqlState } }],
        setAside: [],
      });
      expect(committed).toEqual(without('7'));
    },
  );

  it.each(['P0001', '40001', '57014', '53100', '08006', '25006', '28P01', '42P01'])(
    'by a trigger with %s, is to blame',
    async (sqlState) => {
      const { commit, committed } = server({ 7: refusal(sqlState, { raised: true }) });
      expect(await commit(ITEMS)).toMatchObject({ refused: [{ item: '7' }], setAside: [] });
      expect(committed).toEqual(without('7'));
    },
  );

  it.each(['40001', '40P01', '55P03', '57014', '53200', '58030', 'XX001'])(
    'because of others, with %s, is set aside and never to blame',
    async (sqlState) => {
      const { commit, committed } = server({ 7: refusal(sqlState) });
      expect(await commit(ITEMS)).toMatchObject({ refused: [], setAside: [{ item: '7' }] });
      expect(committed).toEqual(without('7'));
    },
  );

  it('costs few transactions among 4,000', async () => {
    const items = Array.from({ length: 4000 }, (_, index) => `${index}`);
    const { commit, calls } = server({ 1234: refusal('P0001') });
    await commit(items);
    expect(calls()).toBeLessThan(35);
    const slow = server({ 1234: refusal('55P03') });
    await slow.commit(items);
    // Of these, few wait for the lock: the batch three times, three parts, and the record three times.
    expect(slow.calls()).toBeLessThan(60);
  });

  it('is set aside where another one is not taken either', async () => {
    const { commit } = server({ 7: refusal('P0001') }, undefined, false);
    expect(await commit(ITEMS)).toMatchObject({ refused: [], setAside: [{ item: '7' }] });
  });

  it('is set aside, alone or with all of its batch, where there is no other', async () => {
    const bad = Object.fromEntries(ITEMS.map((item) => [item, refusal('P0001')]));
    const { commit } = server(bad, undefined, false);
    const { refused, setAside } = await commit(ITEMS);
    expect([refused.length, setAside.length]).toEqual([0, ITEMS.length]);
    expect(await server(bad, undefined, false).commit(['7'])).toMatchObject({ setAside: [{ item: '7' }] });
  });

  it('is not to blame if it is refused with another code each time', async () => {
    const codes = ['P0001', 'P0002', 'P0003', 'P0004'].values();
    const bad = {
      get 7() {
        const code = codes.next().value;
        return code ? refusal(code) : undefined;
      },
    } as unknown as Record<string, DatabaseError>;
    const { commit } = server(bad);
    expect((await commit(['7'])).refused).toEqual([]);
  });
});

describe('what nothing can be written through', () => {
  it.each([
    ['a missing privilege', refusal('42501')],
    ['a full disk', refusal('53100')],
    ['a lost connection', new DatabaseError('gone', undefined)],
    ['a rule that refuses every statement', refusal('P0001', { raised: true })],
  ])('%s, holds the batch and commits it whole when it is over', async (_, error) => {
    const { commit, committed } = server({}, (call) => (call < 40 ? error : undefined));
    expect(await commit(ITEMS)).toEqual({ refused: [], setAside: [] });
    expect(committed).toEqual(ITEMS);
  });
});

it('whatever is refused, and whatever outages come in between: only bad records are to blame, and no other is lost', {
  timeout: 120_000,
}, async () => {
  const own = fc.constantFrom('P0001', '42501', 'XX000', '0A000', '55P03').map((code) => refusal(code));
  const raised = fc
    .constantFrom('P0001', '40001', '57014', 'ZZ999')
    .map((code) => refusal(code, { raised: true }));
  const certain = fc.constantFrom('23514', '22021').map((code) => refusal(code));
  const bad = fc.dictionary(fc.constantFrom(...ITEMS), fc.oneof(own, raised, certain));
  const away = fc.oneof(
    own,
    fc.constant(new DatabaseError('gone', undefined)),
    fc.constant(refusal('53100')),
  );
  // An outage shorter than two tries could be told from a refusal by nobody.
  const outages = fc.array(
    fc.record({ first: fc.nat({ max: 150 }), length: fc.integer({ min: 3, max: 30 }), away }),
    {
      maxLength: 4,
    },
  );
  const holds = fc.asyncProperty(bad, outages, async (refused, times) => {
    const { commit, committed } = server(
      refused,
      (call) => times.find(({ first, length }) => call >= first && call < first + length)?.away,
    );
    let left = ITEMS;
    const blamed: string[] = [];
    for (let delivery = 0; left.length > 0 && delivery < 20; delivery++) {
      const uncommitted = await commit(left);
      blamed.push(...uncommitted.refused.map(({ item }) => item));
      left = uncommitted.setAside.map(({ item }) => item);
    }
    const stopped = Object.keys(refused).filter((item) => refused[item]?.sqlState === '55P03');
    const toBlame = Object.keys(refused).filter((item) => !stopped.includes(item));
    const order = (items: readonly string[]) => [...items].sort((a, b) => Number(a) - Number(b));
    expect(order(blamed)).toEqual(order(toBlame));
    expect(order(left)).toEqual(order(stopped));
    expect(order([...new Set(committed)])).toEqual(order(without(...Object.keys(refused))));
  });
  await fc.assert(holds, { numRuns: 150 });
});
