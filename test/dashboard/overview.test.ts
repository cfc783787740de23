import { expect, it, vi } from 'vitest';
import type { Sampled } from '../../src/dashboard/sampler.js';
import { freePort } from '../../src/services/free-port.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { ownRedis } from '../faults/services.js';
import { TcpProxy } from '../faults/tcp-proxy.js';
import { openPlace, startWriter, testPlace, testStore } from '../store/place.js';
import { serveDashboard } from './serving.js';

type Overview = Sampled & {
  queue: string;
  table: string;
  at: string;
  signedIn: boolean;
  postgres: string;
  rows: number;
};

const redis = ownRedis();
/** Longer than a look, and than a connection takes to come back. */
const PATIENCE = { timeout: 15_000, interval: 100 };

it('tells the queue, its workers and what they commit', async () => {
  const place = await testPlace();
  const store = testStore(place);
  await store.initSchema();
  const dashboard = await serveDashboard(place);
  await store.save(newCheckpoint());

  const before = await dashboard.get<Overview>('api/overview');
  expect(before.status).toBe(200);
  expect(before.body).toMatchObject({
    queue: place.queue,
    table: `${place.schema}.checkpoints`,
    signedIn: false,
    redis: 'up',
    postgres: 'up',
    rows: 0,
    now: {
      waiting: 1,
      active: 0,
      delayed: 0,
      failed: 0,
      deadLetters: 0,
      committed: 0,
      committedPerSecond: null,
      workers: 0,
    },
    workers: [],
  });
  expect(before.body.now?.oldestAgeMs).toBeGreaterThan(0);
  expect(before.body.samples).toEqual([before.body.now]);

  await startWriter(place);
  await store.flush();
  await vi.waitFor(async () => {
    const { body } = await dashboard.get<Overview>('api/overview');
    expect(body.now).toMatchObject({ waiting: 0, oldestAgeMs: 0, committed: 1, workers: 1 });
    expect(body.samples.some(({ committedPerSecond }) => committedPerSecond !== null)).toBe(true);
    expect(body.workers).toMatchObject([{ breaker: 'closed', name: expect.any(String) }]);
  }, PATIENCE);
});

it('gives only the samples after the one that the page has', async () => {
  const dashboard = await serveDashboard(await testPlace());
  const { body: first } = await dashboard.get<Overview>('api/overview');
  const since = encodeURIComponent(first.now?.at as string);
  await vi.waitFor(async () => {
    const { body } = await dashboard.get<Overview>(`api/overview?since=${since}`);
    expect(body.samples).toHaveLength(1);
    expect(body.samples[0]?.at).not.toBe(first.now?.at);
  }, PATIENCE);
});

it('says that Redis is down, and goes on by itself when it is back', async () => {
  const place = await openPlace({ redis: redis().url });
  const dashboard = await serveDashboard(place);
  expect((await dashboard.get<Overview>('api/overview')).body.redis).toBe('up');

  await redis().kill();
  await vi.waitFor(async () => {
    const { status, body } = await dashboard.get<Overview>('api/overview');
    expect(status).toBe(200);
    expect(body).toMatchObject({ redis: 'down', postgres: 'up', now: null, workers: [] });
    expect(body.samples.length).toBeGreaterThan(0);
  }, PATIENCE);

  await redis().restart();
  await vi.waitFor(async () => {
    expect((await dashboard.get<Overview>('api/overview')).body.redis).toBe('up');
  }, PATIENCE);
  await place.remove();
});

it('gives up a connection on which Redis answers nothing any more', async () => {
  const place = await testPlace();
  const proxy = await TcpProxy.before(place.redis);
  const dashboard = await serveDashboard({ ...place, redis: proxy.url });
  expect((await dashboard.get<Overview>('api/overview')).body.redis).toBe('up');
  proxy.stallConnected();
  const redisIs = async (state: string) =>
    expect((await dashboard.get<Overview>('api/overview')).body.redis).toBe(state);
  await vi.waitFor(() => redisIs('down'), PATIENCE);
  await vi.waitFor(() => redisIs('up'), PATIENCE);
});

it('starts and answers while neither service is there', async () => {
  const [noRedis, noPostgres] = [await freePort(), await freePort()];
  const place = await testPlace();
  const dashboard = await serveDashboard({
    ...place,
    redis: `redis://127.0.0.1:${noRedis}`,
    postgres: `postgresql://nobody@127.0.0.1:${noPostgres}/none`,
  });
  const [overview, letters, executions] = await Promise.all([
    dashboard.get<Overview>('api/overview'),
    dashboard.get('api/dead-letters'),
    dashboard.get('api/executions'),
  ]);
  expect(overview).toMatchObject({
    status: 200,
    body: { redis: 'down', postgres: 'down', rows: null, now: null, samples: [] },
  });
  expect(letters).toMatchObject({ status: 503, body: { error: { code: 'QUEUE_UNAVAILABLE' } } });
  expect(executions).toMatchObject({
    status: 503,
    body: { error: { code: 'DATABASE' } },
  });
});

it('refuses what it does not know, by name', async () => {
  const dashboard = await serveDashboard(await testPlace());
  for (const [query, field] of [
    ['since=yesterday', 'since'],
    ['sinc=2026-01-01', '"sinc"'],
    ['since=2026-01-01&since=2026-01-02', 'since'],
  ]) {
    expect(await dashboard.get(`api/overview?${query}`)).toMatchObject({
      status: 400,
      body: { error: { code: 'INVALID_REQUEST', field } },
    });
  }
});

it('tells in the words of PostgreSQL that it refuses the login, or has no such database', async () => {
  const place = await testPlace();
  const refused = new URL(place.postgres);
  refused.pathname = '/no_such_database';
  const dashboard = await serveDashboard({ ...place, postgres: refused.toString() });
  expect(await dashboard.get<Overview>('api/overview')).toMatchObject({
    status: 200,
    body: {
      redis: 'up',
      postgres: 'refused',
      postgresError: expect.stringContaining('database "no_such_database" does not exist'),
      rows: null,
    },
  });
});
