import { expect, it, onTestFinished, vi } from 'vitest';
import { Dashboard } from '../../src/dashboard/dashboard.js';
import { registerDashboard } from '../../src/dashboard/register.js';
import { ReplayTasks } from '../../src/dashboard/replay-tasks.js';
import { NOTHING_REPLAYED, type ReplayOptions } from '../../src/dead-letters/replay-options.js';
import { HttpServer } from '../../src/http/server.js';
import { silentLogger } from '../../src/logger.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { testPlace, testStore } from '../store/place.js';
import { serveDashboard } from './serving.js';

const CANARY = 'canary-of-the-state';

it('of an unexpected error nothing is told but that, and nothing but its name is logged', async () => {
  const { redis, postgres, schema, queue, keys } = await testPlace();
  const place = { redis, postgres, schema, queue, prefix: keys.prefix, table: 'checkpoints' };
  const logger = { ...silentLogger, error: vi.fn() };
  const dashboard = new Dashboard({ ...place, enqueueTimeoutMs: 5000 }, logger);
  dashboard.letters.count = () => Promise.reject(new TypeError(`a bug beside ${CANARY}`));
  const http = new HttpServer();
  onTestFinished(async () => {
    await http.close();
    await dashboard.close();
  });
  registerDashboard(http.root, dashboard, { basePath: '/dashboard' });
  await http.listen({ host: '127.0.0.1', port: 0 });
  const answer = await fetch(`${http.origin}/dashboard/api/dead-letters/count`);
  expect({ status: answer.status, body: await answer.json() }).toEqual({
    status: 500,
    body: { error: { code: 'UNEXPECTED', message: 'unexpected error' } },
  });
  expect(logger.error.mock.calls).toEqual([
    [{ error: 'TypeError' }, 'the dashboard met an unexpected error'],
  ]);
});

it('a statement that takes too long is ended in PostgreSQL, and its connection serves the next one', async () => {
  const place = await testPlace();
  const store = testStore(place);
  await store.initSchema();
  const dashboard = await serveDashboard(place);
  const holder = await place.pool.connect();
  onTestFinished(() => holder.release());
  await holder.query(`BEGIN; LOCK TABLE ${place.schema}.checkpoints IN ACCESS EXCLUSIVE MODE`);
  expect(await dashboard.get('api/executions')).toMatchObject({
    status: 503,
    body: { error: { code: 'DATABASE', message: expect.stringContaining('57014') } },
  });
  const { rows } = await place.pool.query(
    `SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%${place.schema}%'`,
  );
  expect(rows).toEqual([]);
  await holder.query('ROLLBACK');
  expect((await dashboard.get('api/executions')).status).toBe(200);
});

it('takes two connections of PostgreSQL, whoever asks for how much', async () => {
  const place = await testPlace();
  const store = testStore(place);
  await store.initSchema();
  await store.save(newCheckpoint({ executionId: 'run' }));
  const dashboard = await serveDashboard(place);
  const paths = Array.from({ length: 40 }, (_, n) =>
    n % 2 === 0 ? 'api/executions' : 'api/executions/run/checkpoints',
  );
  const asked = Promise.all(paths.map((path) => dashboard.get(path)));
  const most = await mostConnections(asked);
  for (const { status } of await asked) expect(status).toBe(200);
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThanOrEqual(2);

  async function mostConnections(until: Promise<unknown>): Promise<number> {
    let [under, seen] = [true, 0];
    void until.finally(() => (under = false));
    const now = `SELECT count(*)::int AS count FROM pg_stat_activity
      WHERE application_name = 'checkpoint-queue dashboard' AND query LIKE '%${place.schema}%'`;
    do seen = Math.max(seen, (await place.pool.query(now)).rows[0].count);
    while (under);
    return seen;
  }
});

it('no more than a few replays are under way, and all end when the dashboard closes', async () => {
  const ends: ReplayOptions[] = [];
  const replay = (options: ReplayOptions) =>
    new Promise<typeof NOTHING_REPLAYED>((resolve) => {
      ends.push(options);
      options.signal?.addEventListener('abort', () => resolve(NOTHING_REPLAYED));
    });
  const tasks = new ReplayTasks({ replay: replay as never }, silentLogger);
  const ids = Array.from({ length: 4 }, () => tasks.start({ all: true }));
  expect(() => tasks.start({ all: true })).toThrow(
    expect.objectContaining({ code: 'TOO_MANY_TASKS', status: 429 }),
  );
  await tasks.close();
  for (const id of ids)
    expect(tasks.progress(id)).toMatchObject({ finished: true, result: NOTHING_REPLAYED });
});

it('a replay that fails says why, and nothing of data', async () => {
  const replay = () => Promise.reject(new Error(CANARY));
  const tasks = new ReplayTasks({ replay: replay as never }, silentLogger);
  const id = tasks.start({ all: true });
  await vi.waitFor(() => expect(tasks.progress(id)?.finished).toBe(true));
  expect(tasks.progress(id)?.error).toEqual({ code: 'UNEXPECTED', message: 'unexpected error' });
});

it('finished replays are forgotten, the oldest first', async () => {
  const tasks = new ReplayTasks({ replay: async () => NOTHING_REPLAYED }, silentLogger);
  const ids: string[] = [];
  for (let n = 0; n < 101; n++) {
    ids.push(tasks.start({ all: true }));
    await vi.waitFor(() => expect(tasks.progress(ids.at(-1) as string)?.finished).toBe(true), {
      interval: 1,
    });
  }
  expect(tasks.progress(ids[0] as string)).toBeUndefined();
  expect(tasks.progress(ids[1] as string)).toBeDefined();
});
