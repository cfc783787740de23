import { describe, expect, it, vi } from 'vitest';
import { DeadLetters, type ListDeadLettersOptions } from '../../src/index.js';
import { deadLetterKeys } from '../../src/redis/queue-keys.js';
import { freePort } from '../../src/services/free-port.js';
import { newExecution } from '../contract/checkpoints.js';
import { testStore } from '../store/place.js';
import { forgedLine, poisonablePlace, refused, refusedOne, testLetters, tracesOf } from './letters.js';

describe('a dead letter', () => {
  it('says all of its refusal and nothing of its state', async () => {
    const place = await poisonablePlace();
    const before = new Date();
    const { checkpoint, sequence, deadLetterId } = await refusedOne(place);
    const letter = await testLetters(place).get(deadLetterId);
    expect(letter).toEqual({
      deadLetterId,
      id: checkpoint.id,
      executionId: checkpoint.executionId,
      sequence,
      sqlState: '23514',
      reason: 'PostgreSQL error 23514: check violation (constraint no_poison, table checkpoints)',
      constraint: 'no_poison',
      firstFailedAt: expect.any(Date),
      lastFailedAt: letter?.firstFailedAt,
      replays: 0,
      jobId: `w-${sequence}`,
      worker: expect.stringMatching(/:\d+$/),
      sink: 'checkpoints',
      target: `${place.schema}.checkpoints`,
      bytes: expect.any(Number),
    });
    expect(letter?.firstFailedAt.getTime()).toBeGreaterThanOrEqual(before.getTime());
  });

  it('gives its checkpoint where that is asked for', async () => {
    const place = await poisonablePlace();
    const given = {
      nodeName: 'plän',
      state: { poison: ['\0', '\ud800', '\u001a', '𝒳'], '\udfff': null },
      metadata: { a: '\0' },
      timestamp: new Date('2026-02-03T04:05:06.789Z'),
      version: 7,
    };
    const { checkpoint, deadLetterId } = await refusedOne(place, given);
    const letter = await testLetters(place).get(deadLetterId, { payload: true });
    const { id, executionId } = checkpoint;
    expect(letter?.payload).toEqual({ kind: 'checkpoint', checkpoint: { id, executionId, ...given } });
  });

  it('that is not there, or was never one, is undefined', async () => {
    const letters = testLetters(await poisonablePlace());
    for (const id of ['d-1', 'd-1-2', 'w-1', 'meta', '']) {
      expect(await letters.get(id, { payload: true })).toBeUndefined();
    }
  });

  it('whose payload is lost is listed, says so when it is asked for, and is skipped by a replay', async () => {
    const place = await poisonablePlace();
    const { deadLetterId } = await refusedOne(place);
    await place.client.del(deadLetterKeys(place.keys).payloadPrefix + deadLetterId);
    const letters = testLetters(place);
    expect(await letters.list()).toMatchObject([{ deadLetterId }]);
    await expect(letters.get(deadLetterId, { payload: true })).rejects.toMatchObject({
      code: 'INVALID_CHUNK',
    });
    expect(await letters.replay({ all: true })).toMatchObject({ replayed: 0, skipped: 1 });
    expect(await letters.count()).toBe(1);
  });
});

describe('the list', () => {
  it('keeps of one record what was replayed most often', async () => {
    const place = await poisonablePlace();
    const letters = testLetters(place);
    for (const [replays, imported] of [
      [2, 1],
      [0, 0],
      [10, 1],
      [9, 0],
    ] as const) {
      expect(await letters.import([forgedLine(place, { replays })])).toMatchObject({ imported });
    }
    expect((await letters.list()).map(({ deadLetterId }) => deadLetterId)).toEqual(['d-1-10']);
  });

  it('pages through 2,000 in the order of their sequences', async () => {
    const place = await poisonablePlace();
    const letters = testLetters(place);
    const expected: string[] = [];
    const lines = [];
    for (let sequence = 1; sequence <= 2000; sequence++) {
      const replays = sequence % 3;
      expected.push(replays === 0 ? `d-${sequence}` : `d-${sequence}-${replays}`);
      lines.push(forgedLine(place, { sequence, replays, executionId: `e${sequence % 2}` }));
    }
    expect(await letters.import(lines.reverse())).toEqual({ imported: expected.length, existing: 0 });
    expect(await letters.count()).toBe(expected.length);
    expect((await letters.list()).map(({ deadLetterId }) => deadLetterId)).toEqual(expected.slice(0, 100));

    const pagedBy = async (limit: number, filter: ListDeadLettersOptions = {}): Promise<string[]> => {
      const seen: string[] = [];
      for (let after: string | undefined; ; after = seen.at(-1)) {
        const page = await letters.list({ ...filter, limit, ...(after && { after }) });
        seen.push(...page.map(({ deadLetterId }) => deadLetterId));
        if (page.length < limit) return seen;
      }
    };
    for (const limit of [97, 1000, 1001, 5000]) expect(await pagedBy(limit)).toEqual(expected);
    expect(await pagedBy(1, { executionId: 'e1', idPrefix: 'checkpoint-19' })).toEqual(
      expected.filter((id) => /^d-19\d*-?/.test(id) && Number(id.split('-')[1]) % 2 === 1),
    );
    const odd = expected.filter((id) => Number(id.split('-')[1]) % 2 === 1);
    expect(await pagedBy(300, { executionId: 'e1' })).toEqual(odd);
    expect(await letters.count({ executionId: 'e1' })).toBe(odd.length);
  });

  it('goes on behind a dead letter that is gone meanwhile', async () => {
    const place = await poisonablePlace();
    const letters = testLetters(place);
    await letters.import([1, 2, 3].map((sequence) => forgedLine(place, { sequence })));
    await letters.purge({ ids: ['d-2'] });
    expect(await letters.list({ after: 'd-2' })).toMatchObject([{ deadLetterId: 'd-3' }]);
  });

  it('does not read what it does not need', async () => {
    const place = await poisonablePlace();
    const letters = testLetters(place, { redis: place.client });
    await letters.import(Array.from({ length: 50 }, (_, i) => forgedLine(place, { sequence: i + 1 })));
    const pipelines = vi.spyOn(place.client, 'pipeline');
    expect(await letters.list({ limit: 5, after: 'd-20' })).toHaveLength(5);
    expect(pipelines.mock.results.map(({ value }) => value.length)).toEqual([5]);
  });

  it.each<[string, ListDeadLettersOptions, number[]]>([
    ['execution', { executionId: 'b' }, [2, 4]],
    ['an execution that another one begins with', { executionId: 'forge' }, []],
    ['beginning of the id', { idPrefix: 'x:' }, [3, 4]],
    ['SQLSTATE', { sqlState: '22P02' }, [1, 4]],
    ['time, from', { since: new Date('2026-01-03T00:00:00.000Z') }, [3, 4]],
    ['time, until', { until: new Date('2026-01-03T00:00:00.000Z') }, [1, 2]],
    ['age', { olderThan: Date.now() - Date.parse('2026-01-02T12:00:00.000Z') }, [1, 2]],
    ['all of it', { executionId: 'b', idPrefix: 'x:', sqlState: '22P02', since: new Date(0) }, [4]],
  ])('and the count are filtered by %s', async (_, filter, sequences) => {
    const place = await poisonablePlace();
    const letters = testLetters(place);
    await letters.import([
      forgedLine(place, { sequence: 1, sqlState: '22P02', lastFailedAt: '2026-01-01T00:00:00.000Z' }),
      forgedLine(place, { sequence: 2, executionId: 'b', lastFailedAt: '2026-01-02T00:00:00.000Z' }),
      forgedLine(place, { sequence: 3, id: 'x:3', sqlState: null, lastFailedAt: '2026-01-03T00:00:00.000Z' }),
      forgedLine(place, {
        sequence: 4,
        id: 'x:4',
        executionId: 'b',
        sqlState: '22P02',
        lastFailedAt: '2026-01-04T00:00:00.000Z',
      }),
    ]);
    expect((await letters.list(filter)).map(({ sequence }) => sequence)).toEqual(sequences);
    expect(await letters.count(filter)).toBe(sequences.length);
  });

  it.each<[string, unknown]>([
    ['executionId', { executionId: '' }],
    ['executionId', { executionId: 5 }],
    ['idPrefix', { idPrefix: null }],
    ['sqlState', { sqlState: '23' }],
    ['since', { since: '2026-01-01' }],
    ['until', { until: new Date(Number.NaN) }],
    ['olderThan', { olderThan: -1 }],
    ['limit', { limit: 0.5 }],
    ['after', { after: 'w-1' }],
    ['"exection"', { exection: 'x' }],
  ])('refuses a bad %s by name', async (field, options) => {
    const letters = testLetters(await poisonablePlace());
    const error = { name: 'InvalidFilterError', code: 'INVALID_FILTER', field };
    await expect(letters.list(options as ListDeadLettersOptions)).rejects.toMatchObject(error);
  });
});

describe('a purge', () => {
  it('takes what is meant, with all that belongs to it, and nothing else', async () => {
    const place = await poisonablePlace();
    const executionId = newExecution();
    const [first, other, second] = await refused(place, [{ executionId }, {}, { executionId }]);
    const letters = testLetters(place);
    const selection = { filter: { executionId } };
    expect(await letters.purge({ ...selection, dryRun: true })).toBe(2);
    expect(await letters.count()).toBe(3);
    expect(await letters.purge(selection)).toBe(2);
    for (const receipt of [first, second])
      expect(await tracesOf(place, `d-${receipt?.sequence}`)).toEqual([]);
    expect(await tracesOf(place, executionId)).toEqual([]);
    const left = await letters.list();
    expect(left).toMatchObject([{ deadLetterId: `d-${other?.sequence}` }]);
    expect((await letters.get(`d-${other?.sequence}`, { payload: true }))?.payload?.kind).toBe('checkpoint');
    expect(await letters.purge({ ids: ['d-1', `d-${other?.sequence}`] })).toBe(1);
    expect(await letters.purge({ all: true })).toBe(0);
  });

  it('makes reads of the latest and flush forget the save', async () => {
    const place = await poisonablePlace();
    const { checkpoint } = await refusedOne(place);
    const store = testStore(place);
    await expect(store.flush(checkpoint.executionId)).rejects.toBeInstanceOf(AggregateError);
    await testLetters(place).purge({ all: true });
    await store.flush(checkpoint.executionId);
    expect(await store.latest(checkpoint.executionId, { consistency: 'latest' })).toBeUndefined();
  });

  it('refuses what may mean all and does not say so', async () => {
    const place = await poisonablePlace();
    await refusedOne(place);
    const letters = testLetters(place);
    for (const selection of [{}, { filter: {} }, { filter: { olderthan: 1 } }, { all: 1 }, undefined]) {
      await expect(letters.purge(selection as never)).rejects.toMatchObject({ code: 'INVALID_FILTER' });
    }
    expect(await letters.count()).toBe(1);
  });
});

describe('DeadLetters', () => {
  it('throws within its time where Redis cannot be reached, and closes', async () => {
    const letters = new DeadLetters({ redis: `redis://127.0.0.1:${await freePort()}` });
    await expect(letters.count()).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    await letters.close();
  });

  it('closes twice, and is closed then', async () => {
    const letters = testLetters(await poisonablePlace());
    await Promise.all([letters.close(), letters.close()]);
    const calls = [
      () => letters.list(),
      () => letters.get('d-1'),
      () => letters.count(),
      () => letters.replay({ all: true }),
      () => letters.purge({ all: true }),
      () => letters.edit('d-1', { id: 'a', nodeName: '', state: 1 }),
      () => letters.import([]),
      () => letters.export().next(),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('lets a replay come to its end between two dead letters when it is closed', async () => {
    const place = await poisonablePlace();
    await refused(
      place,
      Array.from({ length: 40 }, () => ({})),
    );
    const letters = testLetters(place);
    const replaying = letters.replay({
      all: true,
      onProgress: ({ done }) => {
        if (done === 3) void letters.close();
      },
    });
    const { replayed, pending } = await replaying;
    expect(replayed).toBeLessThan(40);
    expect(pending).toBe(replayed);
    expect(await testLetters(place).count()).toBe(40 - replayed);
  });

  it.each([
    ['maxQueueDepth', -1],
    ['enqueueTimeoutMs', 0],
    ['queue', 'a-dead'],
    ['table', 'a\0b'],
  ])('refuses a bad %s by name', (field, value) => {
    expect(() => new DeadLetters({ redis: 'redis://127.0.0.1:1', [field]: value })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', field }),
    );
  });
});
