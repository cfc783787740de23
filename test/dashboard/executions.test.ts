import { describe, expect, it } from 'vitest';
import type { CheckpointInput } from '../../src/index.js';
import { PostgresCheckpointStore } from '../../src/index.js';
import { newCheckpoint, newExecution } from '../contract/checkpoints.js';
import { ownRedis } from '../faults/services.js';
import { openPlace, testPlace, testStore } from '../store/place.js';
import { at, shown, stored, timelineOf } from './browsing.js';
import { serveDashboard } from './serving.js';

const CANARY = 'canary-of-the-state';

describe('the executions', () => {
  it('are those that were saved last, each with the newest of its checkpoints', async () => {
    const { dashboard } = await stored([
      newCheckpoint({ executionId: 'old', timestamp: at(1), nodeName: 'a' }),
      newCheckpoint({ executionId: 'long', timestamp: at(0), nodeName: 'first' }),
      newCheckpoint({ executionId: 'long', timestamp: at(5), version: 1, nodeName: 'lower version' }),
      newCheckpoint({ executionId: 'long', timestamp: at(5), version: 2, nodeName: 'last' }),
      newCheckpoint({ executionId: 'new', timestamp: at(9), nodeName: 'b', state: CANARY }),
    ]);
    const { status, body, text } = await dashboard.get('api/executions');
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        executions: [
          { executionId: 'new', nodeName: 'b', timestamp: at(9).toISOString(), version: 1 },
          { executionId: 'long', nodeName: 'last', timestamp: at(5).toISOString(), version: 2 },
          { executionId: 'old', nodeName: 'a', timestamp: at(1).toISOString(), version: 1 },
        ],
      },
    });
    expect(text).not.toContain(CANARY);
    const { body: two } = await dashboard.get<{ executions: unknown[] }>('api/executions?limit=2');
    expect(two.executions).toHaveLength(2);
  });

  it('are none, and have no checkpoints, before there are tables; and none are made', async () => {
    const place = await openPlace();
    await place.pool.query(`DROP TABLE IF EXISTS ${place.schema}.checkpoints CASCADE`);
    const dashboard = await serveDashboard(place);
    expect((await dashboard.get('api/executions')).body).toEqual({ executions: [] });
    expect((await timelineOf(dashboard, 'run')).body).toEqual({ checkpoints: [], next: null, pending: 0 });
    expect((await shown(dashboard, 'run', 'a')).status).toBe(404);
    const { rows } = await place.pool.query('SELECT to_regclass($1) AS table', [
      `${place.schema}.checkpoints`,
    ]);
    expect(rows).toEqual([{ table: null }]);
    await place.remove();
  });
});

describe('the checkpoints of an execution', () => {
  it('come in their order, page by page, without their states', async () => {
    const executionId = newExecution();
    const of = (id: string, minute: number, version: number): CheckpointInput => ({
      ...{ id, executionId, nodeName: `node ${id}`, timestamp: at(minute), version, state: { CANARY } },
      metadata: { CANARY },
    });
    const { dashboard } = await stored([
      ...[of('d', 3, 1), of('b', 2, 1), of('a', 1, 9), of('c', 2, 2)],
      newCheckpoint({ id: 'of another', timestamp: at(2) }),
    ]);
    const first = await timelineOf(dashboard, executionId, '?limit=3');
    expect(first.body).toEqual({
      checkpoints: [
        {
          id: 'a',
          nodeName: 'node a',
          timestamp: at(1).toISOString(),
          version: 9,
          stateBytes: expect.any(Number),
        },
        {
          id: 'b',
          nodeName: 'node b',
          timestamp: at(2).toISOString(),
          version: 1,
          stateBytes: expect.any(Number),
        },
        {
          id: 'c',
          nodeName: 'node c',
          timestamp: at(2).toISOString(),
          version: 2,
          stateBytes: expect.any(Number),
        },
      ],
      next: 'c',
      pending: 0,
    });
    expect(first.body.checkpoints[0]?.stateBytes).toBeGreaterThan(0);
    expect(first.text).not.toContain(CANARY);
    const second = await timelineOf(dashboard, executionId, '?limit=3&after=c');
    expect(second.body.checkpoints.map(({ id }) => id)).toEqual(['d']);
    expect(second.body.next).toBeNull();
    expect((await timelineOf(dashboard, executionId, '?after=d')).body.checkpoints).toEqual([]);
  });

  it('come from the newest on where that is asked for', async () => {
    const executionId = newExecution();
    const { dashboard } = await stored([
      newCheckpoint({ id: 'b', executionId, timestamp: at(2), version: 1 }),
      newCheckpoint({ id: 'a', executionId, timestamp: at(1), version: 9 }),
      newCheckpoint({ id: 'c', executionId, timestamp: at(2), version: 2 }),
      newCheckpoint({ id: 'of another', timestamp: at(3) }),
    ]);
    const page = async (query: string) => {
      const { checkpoints, next } = (await timelineOf(dashboard, executionId, query)).body;
      return { ids: checkpoints.map(({ id }) => id), next };
    };
    expect(await page('?order=desc&limit=2')).toEqual({ ids: ['c', 'b'], next: 'b' });
    expect(await page('?order=desc&limit=2&after=b')).toEqual({ ids: ['a'], next: null });
    expect(await page('?order=desc&after=a')).toEqual({ ids: [], next: null });
    expect(await page('?order=asc&after=b')).toEqual({ ids: ['c'], next: null });
  });

  it('that was deleted meanwhile, or is of another execution, is no place to go on from', async () => {
    const executionId = newExecution();
    const { dashboard } = await stored([newCheckpoint({ executionId }), newCheckpoint({ id: 'of another' })]);
    for (const after of ['of another', 'gone']) {
      for (const order of ['asc', 'desc']) {
        const query = `?order=${order}&after=${encodeURIComponent(after)}`;
        expect(await timelineOf(dashboard, executionId, query)).toMatchObject({
          status: 404,
          body: { error: { code: 'CHECKPOINT_NOT_FOUND' } },
        });
      }
    }
  });

  it('tell how much of the execution is acknowledged and not committed', async () => {
    const place = await testPlace();
    const store = testStore(place, { maxChunkRecords: 1 });
    await store.initSchema();
    const executionId = newExecution();
    await store.saveBatch([newCheckpoint({ executionId }), newCheckpoint({ executionId }), newCheckpoint()]);
    const dashboard = await serveDashboard(place);
    expect((await timelineOf(dashboard, executionId)).body).toEqual({
      checkpoints: [],
      next: null,
      pending: 2,
    });
  });
});

it('what is about to be deleted is gone', async () => {
  const { place, dashboard } = await stored([
    { id: 'a', executionId: 'run', nodeName: 'n', state: 1, timestamp: at(1) },
    { id: 'b', executionId: 'run', nodeName: 'n', state: 2, timestamp: at(2) },
    { id: 'c', executionId: 'run', nodeName: 'n', state: 3, timestamp: at(3) },
    { id: 'd', executionId: 'run', nodeName: 'n', state: 4, timestamp: at(4) },
    { id: 'e', executionId: 'run', nodeName: 'n', state: 5, timestamp: at(5) },
  ]);
  const tombstone = `INSERT INTO ${place.schema}.checkpoints_tombstones (scope, key, fence, settled) VALUES ('checkpoint', $1, $2, false)`;
  for (const id of ['b', 'c', 'e']) await place.pool.query(tombstone, [id, 2n ** 60n]);
  const ids = async (query = '') =>
    (await timelineOf(dashboard, 'run', query)).body.checkpoints.map(({ id }) => id);
  expect(await ids()).toEqual(['a', 'd']);
  expect(await ids('?after=a')).toEqual(['d']);
  expect(await ids('?order=desc')).toEqual(['d', 'a']);
  expect(await ids('?order=desc&after=d')).toEqual(['a']);
  expect((await shown(dashboard, 'run', 'c')).status).toBe(404);
  expect((await shown(dashboard, 'run', 'd')).body).toMatchObject({ previous: 'a' });
  expect((await dashboard.get('api/executions')).body).toMatchObject({
    executions: [{ executionId: 'run', timestamp: at(4).toISOString() }],
  });
});

it.each([
  ['api/executions?limit=0', 'limit'],
  ['api/executions?limit=201', 'limit'],
  ['api/executions?before=1', '"before"'],
  ['api/executions/run/checkpoints?limit=1001', 'limit'],
  ['api/executions/run/checkpoints?after=%00', 'after'],
  ['api/executions/run/checkpoints?order=newest', 'order'],
  ['api/executions/%00/checkpoints', 'executionId'],
  [`api/executions/${'x'.repeat(513)}/checkpoints`, 'executionId'],
  ['api/executions/run/checkpoints/%00', 'id'],
])('refuses %s by the name of the field', async (path, field) => {
  const { dashboard } = await stored([]);
  expect(await dashboard.get(path)).toMatchObject({ status: 400, body: { error: { field } } });
});

it.each(['%', '%zz', '%ff', 'x%E0%A4%A'])('refuses the path %s, and does not repeat it', async (part) => {
  const { dashboard } = await stored([]);
  const { status, text } = await dashboard.get(`api/executions/canary${part}/checkpoints`);
  expect(status).toBe(400);
  expect(text).not.toContain('canary');
});

describe('without Redis', () => {
  const redis = ownRedis();

  it('everything is shown but what waits', async () => {
    const place = await openPlace({ redis: redis().url });
    const store = new PostgresCheckpointStore({ postgres: place.postgres, schema: place.schema });
    await store.save({ id: 'a', executionId: 'run', nodeName: 'n', state: 1 });
    await store.close();
    const dashboard = await serveDashboard(place);
    await redis().kill();
    expect((await timelineOf(dashboard, 'run')).body).toMatchObject({
      checkpoints: [{ id: 'a' }],
      pending: null,
    });
    expect((await shown(dashboard, 'run', 'a')).status).toBe(200);
    await redis().restart();
    await place.remove();
  });
});
