import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from 'ioredis';
import { describe, expect, it, onTestFailed, onTestFinished, vi } from 'vitest';
import { QueueUnavailableError, SaveLostError, type SaveReceipt } from '../../src/index.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { queueKeys } from '../../src/redis/queue-keys.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { patient } from '../patience.js';
import { clusterPlace, clusterStore, openLoad, startClusterWriter } from './cluster-place.js';
import { confirm } from './failover.js';
import { HASH_TAG, ownRedisCluster } from './redis-cluster.js';

const cluster = ownRedisCluster();

const TIMEOUT_MS = 120_000;
/** A failover takes two to three seconds here: one until the master is taken for dead, one for the vote. */
const GOES_ON_WITHIN_MS = 10_000;
const ENQUEUE_TIMEOUT_MS = 500;
/** For a busy machine; ioredis and BullMQ would wait for seconds, or for ever. */
const GRACE_MS = 500;
const WITHIN = { timeout: 15_000 };
const CONFIRMED = `${HASH_TAG}confirmed`;

const kill = () => cluster().master.server.kill('SIGKILL');
const promoted = () => cluster().promoted();

/** How connections to the cluster stand. */
function described(connections: readonly RedisConnection[]): string[] {
  return [...new Set(connections)].map(({ client, ready }) => {
    const { status, slots } = client as Cluster;
    const nodes = (client as Cluster).nodes().map(({ options, status: of }) => `${options.port} ${of}`);
    return JSON.stringify({ ready, status, nodes, masters: [...new Set(slots.map(([master]) => master))] });
  });
}

describe('when the master of the queue is killed under load', () => {
  it('saves and commits go on by themselves; lost is nothing that the replica had confirmed, and receipts say what is', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { load, finish } = await openLoad(cluster());
    await load.more(100);
    await load.confirm(cluster().master.client, CONFIRMED);
    await load.more(20);
    await load.through(kill, promoted);
    await load.more(100);
    expect((await finish()).longestGapMs).toBeLessThan(patient(GOES_ON_WITHIN_MS));
  });

  it('loses nothing where a save is acknowledged when the replica has it, too', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { load, finish } = await openLoad(cluster(), { ackReplicas: 1 });
    await load.more(100);
    await load.through(async () => {
      // Long enough for saves to be sent to the master, and to it alone.
      await cluster().isolateMaster();
      await delay(200);
      await kill();
      await cluster().replica.server.kill('SIGCONT');
    }, promoted);
    // There is no replica to confirm anything until the other one is back.
    await cluster().heal();
    await load.more(100);
    expect(await finish()).toMatchObject({ lost: 0 });
  });
});

describe('what the master alone had', () => {
  it('is lost with it: receipts say so, reads give what is stored, and what is saved again has its place', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const place = await clusterPlace(cluster());
    const store = clusterStore(place, { enqueueTimeoutMs: 15_000 });
    const older = { ...newCheckpoint({ state: 'older' }), version: 1 };
    const lost = { ...newCheckpoint({ executionId: older.executionId, state: 'lost' }) };
    const kept = await store.save(older);
    await confirm(cluster().master.client, CONFIRMED);
    await cluster().isolateMaster();
    const receipts = [await store.save(lost), await store.save({ ...older, state: 'lost' })];
    await kill();
    await cluster().replica.server.kill('SIGCONT');
    await startClusterWriter(place);
    await promoted();
    expect(await kept.committed()).toBe('committed');
    for (const receipt of receipts) {
      await expect(receipt.committed()).rejects.toBeInstanceOf(SaveLostError);
    }
    expect(await store.latest(older.executionId, { consistency: 'latest' })).toMatchObject({
      state: 'older',
    });
    const again = await store.save({ ...older, state: 'newer' });
    expect(again.sequence).toBeGreaterThan((receipts[1] as SaveReceipt).sequence);
    expect(await again.committed()).toBe('committed');
    expect(await store.load(older.id)).toMatchObject({ state: 'newer' });
  });
});

describe('without a master of the queue', () => {
  it.each(['SIGKILL', 'SIGSTOP'] as const)('a save rejects within its deadline, after %s', async (signal) => {
    const place = await clusterPlace(cluster());
    const store = clusterStore(place, { enqueueTimeoutMs: ENQUEUE_TIMEOUT_MS });
    await store.save(newCheckpoint());
    await cluster().master.server.kill(signal);
    const began = performance.now();
    await expect(store.save(newCheckpoint())).rejects.toBeInstanceOf(QueueUnavailableError);
    expect(performance.now() - began).toBeLessThan(patient(ENQUEUE_TIMEOUT_MS + GRACE_MS));
    await promoted();
  });

  it('a store that writes through does so, and comes back to the queue by itself', async () => {
    const place = await clusterPlace(cluster());
    const store = clusterStore(place, {
      enqueueTimeoutMs: ENQUEUE_TIMEOUT_MS,
      onQueueUnavailable: 'write-through',
    });
    await store.initSchema();
    await store.save(newCheckpoint());
    await kill();
    const { id } = await store.save(newCheckpoint());
    expect(await store.load(id)).toMatchObject({ id });
    await promoted();
    const { chunks } = queueKeys({ prefix: HASH_TAG, queue: place.queue });
    const resets = vi.spyOn(RedisConnection.prototype, 'reset');
    onTestFailed(() =>
      console.error(
        resets.mock.contexts.length,
        'resets;',
        ...described(resets.mock.contexts as RedisConnection[]),
      ),
    );
    await expect
      .poll(async () => {
        await store.save(newCheckpoint());
        return cluster().replica.client.zcard(chunks);
      }, WITHIN)
      .toBeGreaterThan(1);
  });
});

it('without enough replicas a save that needs them is not acknowledged, within its deadline', async () => {
  const place = await clusterPlace(cluster());
  const enqueueTimeoutMs = Math.ceil(patient(ENQUEUE_TIMEOUT_MS));
  const store = clusterStore(place, { enqueueTimeoutMs, ackReplicas: 2 });
  const began = performance.now();
  await expect(store.save(newCheckpoint())).rejects.toMatchObject({
    code: 'QUEUE_UNAVAILABLE',
    message: expect.stringMatching(/only [01] of 2 replicas/),
  });
  expect(performance.now() - began).toBeLessThan(enqueueTimeoutMs + patient(GRACE_MS));
});

it('one of the names in the URL may lead nowhere', async () => {
  const url = cluster().url.replace('://', '://nowhere.invalid:6379,');
  const connection = new RedisConnection(url, queueKeys({ prefix: HASH_TAG }), 'worker');
  onTestFinished(() => connection.close());
  expect(await connection.client.set(`${HASH_TAG}a`, '1')).toBe('OK');
});

it('a command of a worker waits for the new master', async () => {
  const connection = new RedisConnection(cluster().url, queueKeys({ prefix: HASH_TAG }), 'worker');
  onTestFinished(() => connection.close());
  await connection.client.set(CONFIRMED, 'there');
  await confirm(cluster().master.client, CONFIRMED);
  await kill();
  expect(await connection.client.exists(CONFIRMED)).toBe(1);
});

it('knows that the connection to a node was lost, though that of the Cluster was not', async () => {
  const connection = new RedisConnection(cluster().url, queueKeys({ prefix: HASH_TAG }), 'commands');
  onTestFinished(() => connection.close());
  const lost = vi.fn();
  connection.client.on('close', lost);
  await expect.poll(() => connection.client.set(`${HASH_TAG}a`, '1').catch(() => '')).toBe('OK');
  const { epoch } = connection;
  await cluster().master.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await expect.poll(() => connection.epoch).toBeGreaterThan(epoch);
  expect(lost).not.toHaveBeenCalled();
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
