import { expect, it, vi } from 'vitest';
import { newCheckpoint } from '../contract/checkpoints.js';
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
