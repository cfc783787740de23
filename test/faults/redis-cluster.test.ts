import { describe, expect, it, onTestFinished } from 'vitest';
import type { QueuedCheckpointStoreOptions } from '../../src/index.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { queueKeys } from '../../src/redis/queue-keys.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { FailoverLoad } from './failover.js';
import { HASH_TAG, ownRedisCluster } from './redis-cluster.js';

const cluster = ownRedisCluster();

const TIMEOUT_MS = 60_000;

/** A place whose queue is in the cluster. */
async function clusterPlace(): Promise<Place> {
  return { ...(await testPlace()), redis: cluster().url };
}

function clusterStore(place: Place, options: Partial<QueuedCheckpointStoreOptions> = {}) {
  return testStore(place, { prefix: HASH_TAG, ...options });
}

describe('when the master of the queue is killed under load', () => {
  it('saves and commits go on by themselves; lost is nothing that the replica had confirmed, and receipts say what is', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const place = await clusterPlace();
    await startWriter(place, { prefix: HASH_TAG });
    const stores = [clusterStore(place), clusterStore(place)];
    const load = new FailoverLoad(stores);
    await load.more(100);
    const { client } = cluster().master;
    await load.confirm(client, `${HASH_TAG}confirmed`);
    await load.more(20);
    await load.through(
      () => cluster().master.server.kill('SIGKILL'),
      () => cluster().promoted(),
    );
    await load.more(100);
    const report = await load.verify(place, async () => {
      for (const store of stores) await store.flush();
    });
    console.info(report);
  });
});

it('knows that its queue has another master, though its connections are all there', async () => {
  const connection = new RedisConnection(cluster().url, queueKeys({ prefix: HASH_TAG }), 'worker');
  onTestFinished(() => connection.close());
  await connection.client.set(`${HASH_TAG}a`, '1');
  const { epoch } = connection;
  await connection.client.set(`${HASH_TAG}a`, '2');
  expect(connection.epoch).toBe(epoch);
  await cluster().replica.client.call('CLUSTER', 'FAILOVER', 'TAKEOVER');
  await expect
    .poll(async () => {
      await connection.client.set(`${HASH_TAG}a`, '3');
      return connection.epoch;
    })
    .toBeGreaterThan(epoch);
});
