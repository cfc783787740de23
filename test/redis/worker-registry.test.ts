import { expect, it, vi } from 'vitest';
import { readWorkers, WorkerRegistry } from '../../src/redis/worker-registry.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { startWriter, testPlace, testStore } from '../store/place.js';

const CLOSED = { breaker: 'closed', breakerSince: 1 } as const;

it('knows the writers that run, and forgets those that have ended', async () => {
  const { client, keys, ...place } = await testPlace();
  const writer = await startWriter({ client, keys, ...place });
  const other = await startWriter({ client, keys, ...place });
  await vi.waitFor(async () => expect(await readWorkers(client, keys, Date.now())).toHaveLength(2));
  await other.close();
  expect(await readWorkers(client, keys, Date.now())).toMatchObject([
    { name: expect.stringContaining(`:${process.pid}:`), breaker: 'closed' },
  ]);
  await writer.close();
  expect(await readWorkers(client, keys, Date.now())).toEqual([]);
});

it('tells at once that a writer waits for PostgreSQL, and why', async () => {
  const place = await testPlace();
  await testStore(place).save(newCheckpoint());
  await startWriter(place, { postgres: 'postgresql://nobody@127.0.0.1:1/none' });
  await vi.waitFor(async () =>
    expect(await readWorkers(place.client, place.keys, Date.now())).toMatchObject([
      { breaker: 'open', failure: 'transient' },
    ]),
  );
});

it('does not show who has not reported for 35 seconds, and removes it at the next report of another', async () => {
  const { client, keys } = await testPlace();
  const [gone, present] = [new WorkerRegistry(client, keys), new WorkerRegistry(client, keys)];
  await gone.report(CLOSED);
  const [name, text] = Object.entries(await client.hgetall(keys.workers))[0] as [string, string];
  await client.hset(
    keys.workers,
    name,
    text.replace(/^\d+/, (seenAt) => String(Number(seenAt) - 36_000)),
  );
  expect(await readWorkers(client, keys, Date.now())).toEqual([]);
  await present.report(CLOSED);
  expect(await client.hkeys(keys.workers)).not.toContain(name);
  expect(await readWorkers(client, keys, Date.now())).toHaveLength(1);
});
