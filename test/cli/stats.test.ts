import { expect, it, vi } from 'vitest';
import { newCheckpoint } from '../contract/checkpoints.js';
import { testRole } from '../postgres/test-database.js';
import { startWriter, testPlace, testStore } from '../store/place.js';
import { runCli } from './cli.js';

it('stats tells how many workers run, and which of them wait for PostgreSQL and why', async () => {
  const place = await testPlace();
  const env = {
    DATABASE_URL: place.postgres,
    REDIS_URL: place.redis,
    CKPT_SCHEMA: place.schema,
    CKPT_QUEUE: place.queue,
  };
  await testStore(place).initSchema();
  expect((await runCli(['stats'], env)).stdout).toMatch(/^workers +0 +\(start one: ckpt worker\)/m);

  await testStore(place).save(newCheckpoint());
  const writer = await startWriter(place, { postgres: 'postgresql://nobody@127.0.0.1:1/none' });
  await vi.waitFor(() => expect(writer.breaker.state).toBe('open'));
  await startWriter(place);
  const { stdout } = await runCli(['stats'], env);
  expect(stdout).toMatch(/^workers +2 +\(1 waiting for PostgreSQL \(transient\) since 20/m);
  const { workers } = JSON.parse((await runCli(['stats', '--json'], env)).stdout);
  expect(workers.map(({ breaker }: { breaker: string }) => breaker).sort()).toEqual(['closed', 'open']);
});

it.each([
  ['a wrong password', { password: 'wrong' }, '28P01', 'password authentication failed'],
  ['a database that does not exist', { pathname: '/no_such_database' }, '3D000', 'does not exist'],
])(
  'stats tells the queue and, with %s, what PostgreSQL says: exit code 1',
  async (_, change, sqlState, words) => {
    const place = await testPlace();
    const url = new URL((await testRole(place.postgres)).url);
    const env = {
      DATABASE_URL: Object.assign(url, change).toString(),
      REDIS_URL: place.redis,
      CKPT_SCHEMA: place.schema,
      CKPT_QUEUE: place.queue,
    };
    const { code, stdout, stderr } = await runCli(['stats', '--json'], env);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ waiting: 0, rows: null, rowsUnknown: 'refused' });
    expect(stderr).toContain(sqlState);
    expect(stderr).toContain(words);
    expect((await runCli(['stats'], env)).stdout).toMatch(
      new RegExp(`^rows, about +PostgreSQL error ${sqlState}: .*${words}`, 'm'),
    );
  },
);
