import { describe, expect, it, vi } from 'vitest';
import type { TaskProgress } from '../../src/dashboard/replay-tasks.js';
import type { DeadLetter, ReplayResult } from '../../src/index.js';
import { deadLetterKeys, markOf } from '../../src/redis/queue-keys.js';
import { forgedLine, poisonablePlace, refused, refusedOne, testLetters } from '../dead-letters/letters.js';
import { startWriter, testPlace } from '../store/place.js';
import type { Answer, Serving } from './serving.js';
import { PAGE_HEADERS, serveDashboard } from './serving.js';

const CANARY = 'canary-of-the-state';

interface Page {
  letters: DeadLetter[];
  next: string | null;
}

function idsOf({ body }: Answer<Page>): string[] {
  return body.letters.map(({ deadLetterId }) => deadLetterId);
}

describe('the list of dead letters', () => {
  it('has all that is known but what is in them', async () => {
    const place = await poisonablePlace();
    const { checkpoint, deadLetterId, sequence } = await refusedOne(place, {
      state: { poison: CANARY },
      metadata: { note: CANARY },
    });
    const dashboard = await serveDashboard(place);
    const { status, body, text } = await dashboard.get<Page>('api/dead-letters');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      letters: [
        {
          ...{ deadLetterId, sequence, id: checkpoint.id, executionId: checkpoint.executionId },
          ...{ sqlState: '23514', replays: 0, sink: 'checkpoints', target: `${place.schema}.checkpoints` },
          lastFailedAt: expect.stringMatching(/^\d{4}-.*Z$/),
        },
      ],
      next: null,
    });
    expect(text).not.toContain(CANARY);
  });

  it('comes page by page, and holds what the filters say', async () => {
    const place = await testPlace();
    const letters = testLetters(place);
    const last = (day: number) => `2026-01-0${day}T00:00:00.000Z`;
    await letters.import([
      forgedLine(place, { sequence: 1, id: 'x:1', executionId: 'run 1/ä%', lastFailedAt: last(1) }),
      forgedLine(place, { sequence: 2, id: 'x:2', sqlState: '22P05', lastFailedAt: last(2) }),
      forgedLine(place, { sequence: 3, id: 'y:3', lastFailedAt: new Date().toISOString() }),
    ]);
    const dashboard = await serveDashboard(place);
    const first = await dashboard.get<Page>('api/dead-letters?limit=2');
    expect([idsOf(first), first.body.next]).toEqual([['d-1', 'd-2'], 'd-2']);
    const second = await dashboard.get<Page>('api/dead-letters?limit=2&after=d-2');
    expect([idsOf(second), second.body.next]).toEqual([['d-3'], null]);

    for (const [query, ids] of [
      [`execution=${encodeURIComponent('run 1/ä%')}`, ['d-1']],
      ['idPrefix=x:', ['d-1', 'd-2']],
      ['sqlState=22P05', ['d-2']],
      ['since=2026-01-02', ['d-2', 'd-3']],
      ['until=2026-01-02T00:00:00Z', ['d-1']],
      ['olderThan=14d', ['d-1', 'd-2']],
      ['olderThan=14d&sqlState=23514&execution=&idPrefix=&limit=', ['d-1']],
    ] as const) {
      expect(idsOf(await dashboard.get<Page>(`api/dead-letters?${query}`))).toEqual(ids);
      const counted = query.replace('&limit=', '');
      expect((await dashboard.get(`api/dead-letters/count?${counted}`)).body).toEqual({ count: ids.length });
    }
  });

  it.each([
    ['sqlState=235', 'sqlState', 'INVALID_FILTER'],
    ['since=yesterday', 'since', 'INVALID_REQUEST'],
    ['until=1', 'until', 'INVALID_REQUEST'],
    ['olderThan=14', 'olderThan', 'INVALID_REQUEST'],
    ['limit=0', 'limit', 'INVALID_REQUEST'],
    ['limit=501', 'limit', 'INVALID_REQUEST'],
    ['limit=1e2', 'limit', 'INVALID_REQUEST'],
    ['after=w-1', 'after', 'INVALID_FILTER'],
    ['executionId=a', '"executionId"', 'INVALID_REQUEST'],
    ['execution=a&execution=b', 'execution', 'INVALID_REQUEST'],
  ])('refuses %s by the name of the field', async (query, field, code) => {
    const dashboard = await serveDashboard(await testPlace());
    const answer = await dashboard.get(`api/dead-letters?${query}`);
    expect(answer).toMatchObject({ status: 400, body: { error: { code, field } } });
  });
});

describe('one dead letter', () => {
  it('shows what is in it to who asks for that', async () => {
    const place = await poisonablePlace();
    const state = { poison: CANARY };
    const { checkpoint, deadLetterId } = await refusedOne(place, { state, metadata: { note: CANARY } });
    const dashboard = await serveDashboard(place);
    for (const query of ['', '?payload=false', '?payload=']) {
      const quiet = await dashboard.get<DeadLetter>(`api/dead-letters/${deadLetterId}${query}`);
      expect(quiet.body).toMatchObject({ deadLetterId, id: checkpoint.id });
      expect(quiet.text).not.toContain(CANARY);
    }
    const { body } = await dashboard.get(`api/dead-letters/${deadLetterId}?payload=true`);
    expect(body).toMatchObject({
      deadLetterId,
      payload: { kind: 'checkpoint', checkpoint: { id: checkpoint.id, state, metadata: { note: CANARY } } },
    });
  });

  it('comes as bytes where it is no checkpoint', async () => {
    const place = await testPlace();
    const { checkpoint: _, ...line } = forgedLine(place) as never as Record<string, unknown>;
    await testLetters(place).import([
      { ...line, sink: 'other', body: Buffer.from('bytes').toString('base64') },
    ]);
    const dashboard = await serveDashboard(place);
    expect((await dashboard.get('api/dead-letters/d-1?payload=true')).body).toMatchObject({
      payload: { kind: 'raw', bytes: 5, base64: Buffer.from('bytes').toString('base64') },
    });
  });

  it.each(['d-1', 'nothing', '%2F..%2F', encodeURIComponent(markOf('run', 'd-1'))])(
    '%s is not there',
    async (id) => {
      const dashboard = await serveDashboard(await testPlace());
      expect(await dashboard.get(`api/dead-letters/${id}`)).toMatchObject({
        status: 404,
        body: { error: { code: 'DEAD_LETTER_NOT_FOUND' } },
      });
    },
  );

  it('says so where its payload is lost', async () => {
    const place = await poisonablePlace();
    const { deadLetterId } = await refusedOne(place);
    await place.client.del(deadLetterKeys(place.keys).payloadPrefix + deadLetterId);
    const dashboard = await serveDashboard(place);
    const answer = await dashboard.get(`api/dead-letters/${deadLetterId}?payload=true`);
    expect(answer).toMatchObject({ status: 422, body: { error: { code: 'INVALID_CHUNK' } } });
  });
});

describe('a replay', () => {
  it('tells what became of them', async () => {
    const place = await poisonablePlace();
    const [one] = await refused(place, [{}, {}]);
    await place.cure();
    await startWriter(place);
    const dashboard = await serveDashboard(place);
    const { status, body } = await dashboard.post<ReplayResult>('api/dead-letters/replay', {
      ids: [`d-${one?.sequence}`, 'd-1'],
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({ replayed: 1, committed: 1, skipped: 1, deadAgain: 0, pending: 0 });
    expect(await testLetters(place).count()).toBe(1);
  });

  it('as a task goes on by itself, and says how far it is', async () => {
    const place = await poisonablePlace();
    await refused(
      place,
      Array.from({ length: 30 }, () => ({})),
    );
    await place.cure();
    await startWriter(place);
    const dashboard = await serveDashboard(place);
    const begun = await dashboard.post<{ task: string }>('api/dead-letters/replays', {
      filter: { sqlState: '23514' },
    });
    expect(begun.status).toBe(202);
    const result = await finished(dashboard, begun.body.task);
    expect(result).toMatchObject({ done: 30, total: 30, result: { replayed: 30, committed: 30 } });
    expect(result.error).toBeUndefined();
  });

  it('as a task stops between two dead letters when it is cancelled', async () => {
    const place = await testPlace();
    const letters = testLetters(place);
    await letters.import(Array.from({ length: 2000 }, (_, n) => forgedLine(place, { sequence: n + 1 })));
    const dashboard = await serveDashboard(place);
    const { body } = await dashboard.post<{ task: string }>('api/dead-letters/replays', { all: true });
    await vi.waitFor(async () => {
      expect((await progressOf(dashboard, body.task)).body.done).toBeGreaterThan(0);
    });
    const path = `api/dead-letters/replays/${body.task}`;
    expect((await dashboard.ask(path, { method: 'DELETE', headers: PAGE_HEADERS })).status).toBe(204);
    const { result, total } = await finished(dashboard, body.task);
    expect(total).toBe(2000);
    expect(result?.replayed).toBeLessThan(2000);
    expect(await letters.count()).toBe(2000 - (result?.replayed ?? 0));
  });

  it('of more than a thousand has to be a task', async () => {
    const place = await testPlace();
    const letters = testLetters(place);
    await letters.import(Array.from({ length: 1001 }, (_, n) => forgedLine(place, { sequence: n + 1 })));
    const dashboard = await serveDashboard(place);
    expect(await dashboard.post('api/dead-letters/replay', { all: true })).toMatchObject({
      status: 409,
      body: { error: { code: 'REPLAY_TOO_LONG' } },
    });
    expect(await letters.count()).toBe(1001);
  });

  it('that is not known is not found', async () => {
    const dashboard = await serveDashboard(await testPlace());
    for (const method of ['GET', 'DELETE']) {
      expect(
        await dashboard.ask('api/dead-letters/replays/x', { method, headers: PAGE_HEADERS }),
      ).toMatchObject({
        status: 404,
        body: { error: { code: 'TASK_NOT_FOUND' } },
      });
    }
  });
});

describe('a purge', () => {
  it('gives up what is meant, and says how many', async () => {
    const place = await testPlace();
    const letters = testLetters(place);
    await letters.import(
      [1, 2, 3].map((sequence) => forgedLine(place, { sequence, executionId: `run-${sequence}` })),
    );
    const dashboard = await serveDashboard(place);
    const purge = (body: unknown) => dashboard.post('api/dead-letters/purge', body);
    expect((await purge({ filter: { executionId: 'run-2', olderThan: '1d' } })).body).toEqual({ purged: 1 });
    expect((await purge({ ids: ['d-1', 'd-9'] })).body).toEqual({ purged: 1 });
    expect((await letters.list()).map(({ deadLetterId }) => deadLetterId)).toEqual(['d-3']);
    expect((await purge({ all: true })).body).toEqual({ purged: 1 });
  });
});

it.each([
  [{}, 'selection', 'INVALID_FILTER'],
  [{ filter: {} }, 'filter', 'INVALID_FILTER'],
  [{ filter: { olderthan: '1d' } }, '"olderthan"', 'INVALID_REQUEST'],
  [{ filter: { olderThan: 5 } }, 'olderThan', 'INVALID_REQUEST'],
  [{ filter: { executionId: '' } }, 'executionId', 'INVALID_REQUEST'],
  [{ filter: 'all' }, 'filter', 'INVALID_REQUEST'],
  [{ all: 1 }, 'all', 'INVALID_FILTER'],
  [{ all: true, ids: [] }, 'selection', 'INVALID_FILTER'],
  [{ ids: 'd-1' }, 'ids', 'INVALID_FILTER'],
  [{ ids: ['w-1'] }, 'ids', 'INVALID_FILTER'],
  [{ all: true, dryRun: false }, '"dryRun"', 'INVALID_REQUEST'],
  [[], 'body', 'INVALID_REQUEST'],
  [undefined, 'body', 'INVALID_REQUEST'],
])('%j, which may mean all and does not say so, is refused everywhere', async (body, field, code) => {
  const place = await testPlace();
  const letters = testLetters(place);
  await letters.import([forgedLine(place)]);
  const dashboard = await serveDashboard(place);
  for (const path of ['replay', 'replays', 'purge']) {
    expect(await dashboard.post(`api/dead-letters/${path}`, body)).toMatchObject({
      status: 400,
      body: { error: { code, field } },
    });
  }
  expect(await letters.count()).toBe(1);
});

function progressOf(dashboard: Serving, task: string): Promise<Answer<TaskProgress>> {
  return dashboard.get<TaskProgress>(`api/dead-letters/replays/${task}`);
}

async function finished(dashboard: Serving, task: string): Promise<TaskProgress> {
  return vi.waitFor(
    async () => {
      const { body } = await progressOf(dashboard, task);
      expect(body.finished).toBe(true);
      return body;
    },
    { timeout: 20_000 },
  );
}
