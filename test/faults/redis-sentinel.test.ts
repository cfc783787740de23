import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished } from 'vitest';
import { QueueUnavailableError } from '../../src/index.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { freePort } from '../../src/services/free-port.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { patient } from '../patience.js';
import { startWriter, testPlace, testStore } from '../store/place.js';
import { FailoverLoad } from './failover.js';
import { ownRedisSentinel } from './redis-sentinel.js';

const ENQUEUE_TIMEOUT_MS = 500;
const GRACE_MS = 500;
/** It takes about three seconds here. */
const GOES_ON_WITHIN_MS = 15_000;

describe.each([
  ['is killed', 'SIGKILL'],
  ['stops answering', 'SIGSTOP'],
] as const)('when the master %s under load', (_, signal) => {
  const servers = ownRedisSentinel();

  it('saves and commits go on at its replica by themselves', { timeout: 120_000 }, async () => {
    const place = { ...(await testPlace()), redis: servers().url };
    // Jobs that the old master gave it, and whose name it did not hear any more, come back after a second and not after forty.
    await startWriter(place, { lockDurationMs: 1000 });
    const stores = [testStore(place), testStore(place)];
    const load = new FailoverLoad(stores);
    await load.more(100);
    const client = new Redis(servers().master.url);
    client.on('error', () => {});
    onTestFinished(() => client.disconnect());
    await load.confirm(client, 'confirmed');
    await load.more(20);
    await load.through(
      () => servers().master.kill(signal),
      () => servers().promoted(),
    );
    await load.more(100);
    const report = await load.verify(place, async () => {
      for (const store of stores) await store.flush();
    });
    expect(report.longestGapMs).toBeLessThan(patient(GOES_ON_WITHIN_MS));
  });

  it.each(['commands', 'worker'] as const)(
    'a connection for %s that is told of it while it asks for the master is there again',
    async (purpose) => {
      const { keys } = await testPlace();
      const connection = new RedisConnection(servers().url, keys, purpose);
      onTestFinished(() => connection.close());
      const client = connection.client as Redis;
      await untilReady(client);
      client.once('connecting', () => toldOfFailover(client));
      const ended = new Promise((resolve) => client.once('end', resolve));
      client.disconnect(true);
      await ended;
      await untilReady(client);
      expect(await client.ping()).toBe('PONG');
    },
  );
});

/** What the failover detector of ioredis does with it. */
function toldOfFailover(client: Redis): void {
  (client as unknown as { connector: { disconnect(): void } }).connector.disconnect();
}

async function untilReady(client: Redis): Promise<void> {
  if (client.status !== 'ready') await new Promise((resolve) => client.once('ready', resolve));
}

it('without a Sentinel that answers, a save rejects within its deadline', async () => {
  const place = {
    ...(await testPlace()),
    redis: `redis-sentinel://127.0.0.1:${await freePort()}?master=ours`,
  };
  const store = testStore(place, { enqueueTimeoutMs: ENQUEUE_TIMEOUT_MS });
  const began = performance.now();
  await expect(store.save(newCheckpoint())).rejects.toBeInstanceOf(QueueUnavailableError);
  expect(performance.now() - began).toBeLessThan(patient(ENQUEUE_TIMEOUT_MS + GRACE_MS));
});
