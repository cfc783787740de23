import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Readiness } from '../../workers/http/readiness.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { ownPostgres, ownRedis } from '../faults/services.js';
import { TcpProxy } from '../faults/tcp-proxy.js';
import { patient } from '../patience.js';
import { services } from '../services.js';
import { openPlace, type Place, startWriter, testPlace, testStore, testWriter } from '../store/place.js';
import { readyz, serve } from './serving.js';

/** Longer than an answer is remembered, and than a connection takes to come back. */
const PATIENCE = { timeout: 15_000, interval: 50 };

const ALL_PASSED: Readiness['checks'] = {
  worker: { ok: true },
  breaker: { ok: true },
  postgres: { ok: true },
  schema: { ok: true },
  redis: { ok: true },
  evictionPolicy: { ok: true },
};

describe('/readyz', () => {
  it('says that all is well, check by check', async () => {
    const place = await testPlace();
    const http = await serve(await startWriter(place), place);
    expect(await readyz(http)).toEqual({ status: 200, ready: true, checks: ALL_PASSED });
  });

  it('is 503 until the worker runs, and once it is closing', async () => {
    const place = await testPlace();
    const writer = testWriter(place);
    const http = await serve(writer, place);
    expect(await readyz(http)).toMatchObject({
      status: 503,
      ready: false,
      checks: { worker: { ok: false, reason: 'starting' }, redis: { ok: true } },
    });
    await writer.start();
    await vi.waitFor(async () => expect((await readyz(http)).status).toBe(200), PATIENCE);
    await writer.close();
    await vi.waitFor(
      async () =>
        expect(await readyz(http)).toMatchObject({
          status: 503,
          checks: { worker: { ok: false, reason: 'closing' } },
        }),
      PATIENCE,
    );
  });

  it('is 503 where the tables are of another version', async () => {
    const place = await testPlace();
    const http = await serve(await startWriter(place), place);
    await place.pool.query(`DELETE FROM ${place.schema}.checkpoints_migrations WHERE version > 1`);
    expect(await readyz(http)).toMatchObject({
      status: 503,
      checks: {
        ...ALL_PASSED,
        schema: { ok: false, reason: expect.stringMatching(/^version 1, this release needs/) },
      },
    });
  });

  it('is 503 while the breaker is open', async () => {
    const place = await testPlace();
    const store = testStore(place);
    await store.initSchema();
    const writer = await startWriter(place, { postgres: 'postgresql://nobody@127.0.0.1:1/none' });
    const http = await serve(writer, place);
    await store.save(newCheckpoint());
    await vi.waitFor(() => expect(writer.breaker.state).toBe('open'), PATIENCE);
    expect(await readyz(http)).toMatchObject({
      status: 503,
      checks: { ...ALL_PASSED, breaker: { ok: false, reason: 'open: transient' } },
    });
    await writer.close({ deadlineMs: 0 });
  });

  it('asks the services once a second, however many ask', async () => {
    const place = await testPlace();
    const http = await serve(await startWriter(place), place);
    await readyz(http); // now it is connected, which asks as well
    const query = vi.spyOn(Redis.prototype, 'info');
    onTestFinished(() => query.mockRestore());
    await vi.waitFor(async () => {
      await readyz(http);
      expect(query).toHaveBeenCalledTimes(1);
    }, PATIENCE);
    await Promise.all(Array.from({ length: 50 }, () => readyz(http)));
    expect(query.mock.calls.length).toBeLessThanOrEqual(2);
  });
});

describe('/readyz, when services go away,', () => {
  const postgres = ownPostgres();
  const redis = ownRedis();

  it('turns 503 when PostgreSQL stops, and 200 when it is back; the process is alive all the while', async () => {
    const place = await ownPlace();
    const http = await serve(await startWriter(place), place);
    expect((await readyz(http)).status).toBe(200);

    await postgres().kill('SIGKILL');
    await untilNotReady();
    expect(await readyz(http)).toMatchObject({
      checks: {
        postgres: { ok: false, reason: expect.stringContaining('PostgreSQL cannot be reached') },
        redis: { ok: true },
      },
    });
    expect((await fetch(`${http.url}/healthz`)).status).toBe(200);

    await postgres().restart();
    await vi.waitFor(async () => expect((await readyz(http)).status).toBe(200), PATIENCE);

    async function untilNotReady(): Promise<void> {
      await vi.waitFor(async () => expect((await readyz(http)).status).toBe(503), PATIENCE);
    }
  });

  it('turns 503 when Redis stops, and 200 when it is back', async () => {
    const place = await ownPlace();
    const http = await serve(await startWriter(place), place);
    await redis().kill('SIGKILL');
    await vi.waitFor(async () => expect((await readyz(http)).status).toBe(503), PATIENCE);
    expect(await readyz(http)).toMatchObject({
      checks: {
        postgres: { ok: true },
        redis: { ok: false },
        evictionPolicy: { ok: false, reason: 'not known' },
      },
    });
    await redis().restart();
    await vi.waitFor(async () => expect((await readyz(http)).status).toBe(200), PATIENCE);
  });

  it('is 503 where Redis would drop what was acknowledged', async () => {
    const place = await ownPlace();
    const http = await serve(await startWriter(place), place);
    await place.client.config('SET', 'maxmemory-policy', 'volatile-lru');
    expect(await readyz(http)).toMatchObject({
      status: 503,
      checks: {
        ...ALL_PASSED,
        evictionPolicy: { ok: false, reason: 'volatile-lru drops acknowledged saves' },
      },
    });
    await place.client.config('SET', 'maxmemory-policy', 'noeviction');
    await vi.waitFor(async () => expect((await readyz(http)).status).toBe(200), PATIENCE);
  });

  it('answers in time where neither of them does, and goes on when they do', async () => {
    const place = await testPlace();
    const proxies = {
      redis: await TcpProxy.before(services().redisUrl),
      postgres: await TcpProxy.before(services().databaseUrl),
    };
    const writer = await startWriter(place);
    const http = await serve(writer, place, { redis: proxies.redis.url, postgres: proxies.postgres.url });
    expect((await readyz(http)).status).toBe(200);

    proxies.redis.stall();
    proxies.postgres.stall();
    await vi.waitFor(async () => expect((await readyz(http)).status).toBe(503), PATIENCE);
    const began = performance.now();
    expect(await readyz(http)).toMatchObject({
      checks: { postgres: { ok: false }, redis: { ok: false }, worker: { ok: true } },
    });
    expect(performance.now() - began).toBeLessThan(patient(5000));

    proxies.redis.resume();
    proxies.postgres.resume();
    await vi.waitFor(async () => expect((await readyz(http)).status).toBe(200), PATIENCE);
  });

  async function ownPlace(): Promise<Place> {
    const place = await openPlace({ redis: redis().url, postgres: postgres().url });
    onTestFinished(place.remove);
    return place;
  }
});

describe('/healthz', () => {
  it('is 200 while the worker starts, runs and closes, and 503 when its loop has ended by itself', async () => {
    const place = await testPlace();
    const writer = testWriter(place);
    const http = await serve(writer, place);
    const health = async () => {
      const response = await fetch(`${http.url}/healthz`);
      return { status: response.status, ...((await response.json()) as object) };
    };
    expect(await health()).toEqual({ status: 200, alive: true, worker: 'new' });
    await writer.start();
    expect(await health()).toEqual({ status: 200, alive: true, worker: 'running' });
    await writer.close();
    expect(await health()).toEqual({ status: 200, alive: true, worker: 'closing' });
    vi.spyOn(writer, 'state', 'get').mockReturnValue('ended');
    expect(await health()).toEqual({ status: 503, alive: false, worker: 'ended' });
  });

  it('says what there is to see where nothing is', async () => {
    const place = await testPlace();
    const http = await serve(testWriter(place), place);
    const response = await fetch(`${http.url}/state`);
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({ error: 'not found', paths: ['/healthz', '/readyz', '/metrics'] });
  });
});
