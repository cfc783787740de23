import { expect, it, onTestFinished } from 'vitest';
import { newCheckpoint, newExecution } from '../contract/checkpoints.js';
import { testPlace, testStore } from '../store/place.js';
import { Load } from './load.js';
import { FaultOracle, NOTHING_WRONG } from './oracle.js';
import { Replication, type ReplicationOptions } from './postgres-standby.js';
import { execute } from './services.js';
import { TcpProxy } from './tcp-proxy.js';
import { startWorkerProcess } from './worker-process.js';

const TIMEOUT_MS = 120_000;

/** A primary with a standby, and an address that leads to the primary, as a virtual one would. */
async function openReplication(options: ReplicationOptions) {
  const replication = await Replication.start(options);
  onTestFinished(() => replication.stop());
  const address = await TcpProxy.before(replication.primary.url);
  const place = await testPlace({ postgres: address.url });
  const moveToStandby = () => {
    address.pointTo(replication.standby.url);
    address.cut();
  };
  return { replication, address, place, moveToStandby };
}

it('a primary that is killed under load, and its standby promoted: all goes on by itself and nothing is lost', {
  timeout: TIMEOUT_MS,
}, async () => {
  const { replication, place, moveToStandby } = await openReplication({ synchronous: true });
  const store = testStore(place);
  const oracle = new FaultOracle();
  const worker = await startWorkerProcess(place);
  const load = Load.start(store, oracle);
  await load.more(500);

  await replication.primary.kill('SIGKILL');
  await load.more(200);
  // For a moment the address leads to a server that is no primary yet.
  moveToStandby();
  await load.more(200);
  await worker.logged('batch not committed', '25006');
  await replication.promote();
  await load.more(20, 'deleted');
  await load.more(200);

  const { acknowledged, queueUnavailable } = await load.stop();
  await worker.outlives(store.flush());
  expect(queueUnavailable).toBe(0);
  expect(await oracle.verify(place)).toEqual({ acknowledged, ...NOTHING_WRONG });
  expect(worker.running).toBe(true);
});

it('saves that are written past the queue keep what they acknowledged through a failover, too', {
  timeout: TIMEOUT_MS,
}, async () => {
  const { replication, place, moveToStandby } = await openReplication({ synchronous: true });
  const store = testStore(place, { maxQueuedBytes: 1, readPostgres: replication.standby.url });
  const executionId = newExecution();
  const saved = new Set<string>();
  const saveSome = async () => {
    for (let count = 0; count < 50; count++) {
      const checkpoint = newCheckpoint({ executionId });
      await store.save(checkpoint);
      saved.add(checkpoint.id);
    }
  };
  await saveSome();
  await replication.primary.kill('SIGKILL');
  await expect(store.save(newCheckpoint({ executionId }))).rejects.toMatchObject({ code: 'DATABASE' });
  // Reads go on at the replica meanwhile.
  expect(await store.latest(executionId)).toBeDefined();
  await replication.promote();
  moveToStandby();
  await saveSome();
  const stored = await store.list(executionId, { consistency: 'latest' });
  expect(new Set(stored.map(({ id }) => id))).toEqual(saved);
});

it('an address that moves and leaves its connections at the old primary, which only reads: they are given up', {
  timeout: TIMEOUT_MS,
}, async () => {
  const { replication, address, place } = await openReplication({});
  const store = testStore(place);
  const oracle = new FaultOracle();
  const worker = await startWorkerProcess(place);
  const load = Load.start(store, oracle);
  await load.more(200);
  await execute(replication.primary.url, 'ALTER SYSTEM SET default_transaction_read_only = on');
  await execute(replication.primary.url, 'SELECT pg_reload_conf()');
  await worker.logged('batch not committed', '25006');
  await replication.caughtUp();
  await replication.promote();
  address.pointTo(replication.standby.url);
  await load.more(20, 'deleted');

  const { acknowledged } = await load.stop();
  await worker.outlives(store.flush());
  address.cut(); // the test's own connections
  expect(await oracle.verify(place)).toEqual({ acknowledged, ...NOTHING_WRONG });
});
