import { Redis } from 'ioredis';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { POSTGRES_CHECKS } from '../../src/doctor/postgres-checks.js';
import { REDIS_CHECKS } from '../../src/doctor/redis-checks.js';
import type { Database } from '../../src/postgres/database.js';
import type { RedisServerInfo } from '../../src/redis/server-info.js';
import { execute, ownPostgres, ownRedis } from '../faults/services.js';
import { TcpProxy } from '../faults/tcp-proxy.js';
import { patient } from '../patience.js';
import { services } from '../services.js';
import { openPlace, startWriter } from '../store/place.js';
import { diagnosis } from './diagnosis.js';

const shared = () => ({ redis: services().redisUrl, postgres: services().databaseUrl });

describe('the doctor, on Redis,', () => {
  const redis = ownRedis();
  const place = () => ({ ...shared(), redis: redis().url });

  it('is content with one that is set up as it should be', async () => {
    const found = await diagnosis(place());
    for (const check of ['connection', 'version', 'role', 'eviction-policy', 'persistence', 'memory']) {
      expect({ check, ...found[`redis.${check}`] }).toMatchObject({ severity: 'ok' });
    }
  });

  it('finds an eviction policy that drops saves', async () => {
    await configured('maxmemory-policy', 'allkeys-lru');
    expect((await diagnosis(place()))['redis.eviction-policy']).toMatchObject({
      severity: 'error',
      seen: 'allkeys-lru: a full Redis drops acknowledged saves',
      todo: expect.stringContaining('maxmemory-policy noeviction'),
    });
  });

  it('finds a missing append-only file, and one that is not synced', async () => {
    await configured('appendfsync', 'no');
    expect((await diagnosis(place()))['redis.persistence']).toMatchObject({ severity: 'warning' });
    await configured('appendonly', 'no');
    expect((await diagnosis(place()))['redis.persistence']).toMatchObject({
      severity: 'error',
      todo: expect.stringContaining('appendonly yes'),
    });
  });

  it.each([
    ['near', 1.2, 'warning'],
    ['very near', 1.02, 'error'],
    ['far away', 3, 'ok'],
  ])('says how far away maxmemory is: %s', async (_, times, severity) => {
    const client = connected();
    const [, used] = /used_memory:(\d+)/.exec(await client.info('memory')) ?? [];
    await configured('maxmemory', String(Math.round(Number(used) * times)));
    const { 'redis.memory': finding } = await diagnosis(place());
    expect(finding).toMatchObject({ severity, seen: expect.stringMatching(/of maxmemory [\d.]+ MiB used/) });
  });

  it('finds a replica, which takes no writes', async () => {
    const client = connected();
    onTestFinished(async () => {
      await client.call('REPLICAOF', 'NO', 'ONE');
    });
    await client.call('REPLICAOF', '127.0.0.1', '1');
    expect((await diagnosis(place()))['redis.role']).toMatchObject({ severity: 'error' });
  });

  it('finds an old release, a file that cannot be written, and a machine that is nearly full', async () => {
    const client = connected();
    const look = async (name: string, given: Partial<RedisServerInfo>) => {
      const info = { server: 'redis', appendOnly: true, maxMemoryBytes: 0, ...given } as RedisServerInfo;
      const servers = [{ address: 'here', client, info }];
      return REDIS_CHECKS.find((check) => check.name === name)?.look({ client, servers });
    };
    expect(await look('redis.version', { version: '6.0.16' })).toMatchObject({ severity: 'error' });
    expect(await look('redis.version', { version: '6.2.0' })).toMatchObject({ severity: 'ok' });
    expect(await look('redis.memory', { usedMemoryBytes: 6e9, systemMemoryBytes: 8e9 })).toMatchObject({
      severity: 'warning',
    });
    expect(await look('redis.persistence', { appendOnlyWritten: false })).toMatchObject({
      severity: 'error',
    });
  });

  it('finds one that is far away', async () => {
    const proxy = await TcpProxy.before(redis().url);
    proxy.delay({ toServer: 20 });
    expect((await diagnosis({ ...place(), redis: proxy.url }))['redis.connection']).toMatchObject({
      severity: 'warning',
    });
  });

  it('says in time that it cannot be reached or does not answer, and looks at PostgreSQL all the same', async () => {
    const proxy = await TcpProxy.before(redis().url);
    proxy.stall();
    for (const url of ['redis://127.0.0.1:1', proxy.url]) {
      const began = performance.now();
      const found = await diagnosis({ ...place(), redis: url }, {}, 1000);
      expect(found['redis.connection']).toMatchObject({
        severity: 'error',
        seen: expect.stringMatching(/^cannot be reached: /),
      });
      expect(found['postgres.version']).toMatchObject({ severity: 'ok' });
      expect(found['pipeline.probe']).toMatchObject({ seen: 'left out: see redis.connection' });
      expect(performance.now() - began).toBeLessThan(patient(8000));
    }
  });

  it('repeats no password', async () => {
    const url = redis().url.replace('//', '//:hunter2@');
    const found = await diagnosis({ ...place(), redis: url });
    expect(JSON.stringify(found)).not.toContain('hunter2');
  });

  function connected(): Redis {
    const client = new Redis(redis().url);
    onTestFinished(() => client.disconnect());
    return client;
  }

  async function configured(name: string, value: string): Promise<void> {
    const client = connected();
    const [, before] = (await client.config('GET', name)) as string[];
    onTestFinished(async () => {
      await client.config('SET', name, before as string);
    });
    await client.config('SET', name, value);
  }
});

describe('the doctor, on PostgreSQL,', () => {
  const postgres = ownPostgres({ args: ['-c', 'max_connections=20', '-c', 'autovacuum=off'] });
  const place = () => ({ ...shared(), postgres: postgres().url });

  it('finds a pool that is larger than the server admits', async () => {
    const found = await diagnosis(withPool(18));
    expect(found['postgres.connections']).toMatchObject({
      severity: 'error',
      seen: expect.stringMatching(/of 17 used; a worker opens up to 18$/),
    });
    expect((await diagnosis(place(), { maxConcurrentBatches: 17 }))['postgres.connections']).toMatchObject({
      severity: 'error',
    });
    expect((await diagnosis(withPool(10)))['postgres.connections']).toMatchObject({ severity: 'ok' });
  });

  it('finds pools of all workers that are larger together', async () => {
    const own = await openPlace({ postgres: postgres().url });
    for (const _ of [1, 2]) await startWriter(own);
    const { queue, schema } = own;
    await expect.poll(() => own.client.hlen(own.keys.workers), { timeout: 5000 }).toBe(2);
    expect((await diagnosis({ ...withPool(9), queue, schema }))['postgres.connections']).toMatchObject({
      severity: 'warning',
      seen: expect.stringMatching(/up to 9, and 2 workers run$/),
    });
    onTestFinished(() => own.remove());
  });

  it('finds the limit of a role, and connections that are nearly used up', async () => {
    await execute(postgres().url, "CREATE ROLE narrow LOGIN PASSWORD 'p' CONNECTION LIMIT 4");
    const url = new URL(postgres().url);
    url.username = 'narrow';
    url.password = 'p';
    expect(
      (await diagnosis({ ...place(), postgres: url.toString() }, { maxConcurrentBatches: 4 }))[
        'postgres.connections'
      ],
    ).toMatchObject({
      severity: 'error',
      seen: expect.stringContaining('of 4 used; a worker opens up to 5'),
    });

    const pool = new pg.Pool({ connectionString: postgres().url, max: 13 });
    const clients = await Promise.all(Array.from({ length: 13 }, () => pool.connect()));
    const { 'postgres.connections': finding } = await diagnosis(place());
    for (const client of clients) client.release();
    await pool.end();
    expect(finding).toMatchObject({ severity: 'warning', todo: expect.stringContaining('pg_stat_activity') });
  });

  it('finds autovacuum switched off, and a catalog that is mostly air', async () => {
    const columns = Array.from({ length: 1500 }, (_, n) => `c${n} int`).join(', ');
    await execute(
      postgres().url,
      `DO $$ BEGIN FOR n IN 1..120 LOOP
         EXECUTE 'CREATE TEMP TABLE wide (${columns})'; DROP TABLE wide;
       END LOOP; END $$`,
    );
    const found = await diagnosis(place());
    expect(found['postgres.autovacuum']).toMatchObject({ severity: 'error' });
    expect(found['postgres.catalog']).toMatchObject({
      severity: 'warning',
      seen: expect.stringMatching(/^pg_attribute has \d+ MiB for \d+ rows$/),
    });
  });

  it('finds a server that takes no writes', async () => {
    await execute(postgres().url, 'ALTER DATABASE postgres SET default_transaction_read_only = on');
    onTestFinished(async () => {
      await execute(
        postgres().url,
        'BEGIN READ WRITE; ALTER DATABASE postgres RESET default_transaction_read_only; COMMIT',
      );
    });
    expect((await diagnosis(place()))['postgres.role']).toMatchObject({
      severity: 'error',
      seen: 'takes no writes: default_transaction_read_only is on',
    });
  });

  it('finds an old release', async () => {
    const check = POSTGRES_CHECKS.find(({ name }) => name === 'postgres.version');
    const database = { query: async () => [{ text: '13.14', number: '130014' }] } as unknown as Database;
    const subject = { database } as Parameters<NonNullable<typeof check>['look']>[0];
    expect(await check?.look(subject)).toMatchObject({ severity: 'error', seen: 'PostgreSQL 13.14' });
  });

  it('finds one that is far away', async () => {
    const proxy = await TcpProxy.before(postgres().url);
    proxy.delay({ toServer: 40 });
    expect((await diagnosis({ ...place(), postgres: proxy.url }))['postgres.connection']).toMatchObject({
      severity: 'warning',
    });
  });

  it('says in time that it cannot be reached or does not answer, and looks at Redis all the same', async () => {
    const proxy = await TcpProxy.before(postgres().url);
    proxy.stall();
    for (const url of ['postgresql://nobody:hunter2@127.0.0.1:1/none', proxy.url]) {
      const began = performance.now();
      const found = await diagnosis({ ...place(), postgres: url }, {}, 1000);
      expect(found['postgres.connection']).toMatchObject({
        severity: 'error',
        seen: expect.stringContaining('cannot be reached'),
      });
      expect(found['redis.version']).toMatchObject({ severity: 'ok' });
      expect(JSON.stringify(found)).not.toContain('hunter2');
      expect(performance.now() - began).toBeLessThan(patient(8000));
    }
  });

  function withPool(max: number): ReturnType<typeof place> {
    const url = new URL(postgres().url);
    url.searchParams.set('pool_max_conns', String(max));
    return { ...place(), postgres: url.toString() };
  }
});
