import { expect, it, onTestFinished, vi } from 'vitest';
import { CheckpointWriter, QueuedCheckpointStore } from '../../src/index.js';
import { runCli } from '../cli/cli.js';
import { describeCheckpointStore } from '../contract/checkpoint-store.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { poisonablePlace, testLetters } from '../dead-letters/letters.js';
import { diagnosis } from '../doctor/diagnosis.js';
import { openPlace } from '../store/place.js';
import { clusterPlace, clusterStore, startClusterWriter } from './cluster-place.js';
import { HASH_TAG, ownRedisCluster } from './redis-cluster.js';

const cluster = ownRedisCluster();

describeCheckpointStore('QueuedCheckpointStore with a CheckpointWriter on a Redis Cluster', async () => {
  const { postgres, schema, queue, remove } = await openPlace();
  const redis = cluster().client();
  const where = { redis, postgres, schema, queue, prefix: HASH_TAG };
  const store = new QueuedCheckpointStore(where);
  const writer = new CheckpointWriter({ ...where, lingerMs: 0 });
  await writer.start();
  const close = async () => {
    await store.close();
    await writer.close();
    redis.disconnect();
    await remove();
  };
  return { store, settle: () => store.flush(), close };
});

it('dead letters in a Redis Cluster are listed, replayed and purged', async () => {
  const place = { ...(await poisonablePlace()), redis: cluster().url };
  await startClusterWriter(place);
  const store = clusterStore(place);
  const [cured, purged] = [newCheckpoint({ state: { poison: 1 } }), newCheckpoint({ state: { poison: 1 } })];
  await store.saveBatch([cured, purged]);
  await expect(store.flush()).rejects.toBeInstanceOf(AggregateError);
  const letters = testLetters(place, { prefix: HASH_TAG });
  expect(await letters.count()).toBe(2);
  await place.cure();
  for (const { deadLetterId, id } of await letters.list()) {
    if (id === cured.id) await letters.replay({ ids: [deadLetterId] });
    else await letters.purge({ ids: [deadLetterId] });
  }
  expect(await store.latest(cured.executionId, { consistency: 'latest' })).toMatchObject({ id: cured.id });
  expect(await letters.count()).toBe(0);
});

it('stats and the doctor see a Redis Cluster: the queue, and all of its masters', async () => {
  const place = await clusterPlace(cluster());
  await startClusterWriter(place);
  const store = clusterStore(place);
  await store.save(newCheckpoint());
  await store.flush();
  const { redis, postgres, schema, queue } = place;
  const env = {
    REDIS_URL: redis,
    DATABASE_URL: postgres,
    CKPT_SCHEMA: schema,
    CKPT_QUEUE: queue,
    CKPT_PREFIX: HASH_TAG,
  };
  const stats = await runCli(['stats', '--json'], env);
  expect(JSON.parse(stats.stdout)).toMatchObject({ waiting: 0, failed: 0, deadLetters: 0 });
  const found = await diagnosis(place, { prefix: HASH_TAG });
  for (const check of ['connection', 'version', 'role', 'eviction-policy', 'persistence']) {
    expect(found[`redis.${check}`]).toMatchObject({ severity: 'ok' });
  }
  expect(found['pipeline.probe']).toMatchObject({ severity: 'ok' });
  const [someMaster] = cluster().nodes;
  await someMaster?.client.config('SET', 'maxmemory-policy', 'volatile-lru');
  onTestFinished(async () => {
    await someMaster?.client.config('SET', 'maxmemory-policy', 'noeviction');
  });
  // BullMQ says it too.
  vi.spyOn(console, 'warn').mockImplementation(() => {});
  onTestFinished(() => void vi.restoreAllMocks());
  expect((await diagnosis(place, { prefix: HASH_TAG }))['redis.eviction-policy']).toMatchObject({
    severity: 'error',
    seen: expect.stringContaining(`127.0.0.1:${someMaster?.server.port}: volatile-lru`),
  });
});

it('a prefix without a hash tag is an error that says what to set', async () => {
  const { stderr, code } = await runCli(['stats'], { REDIS_URL: cluster().url });
  expect(code).not.toBe(0);
  expect(stderr).toMatch(/prefix needs a hash tag .* \{ckpt\}/);
});
