import { expect, it } from 'vitest';
import { patient } from '../patience.js';
import { openLoad } from './cluster-place.js';
import { HASH_TAG, ownRedisCluster } from './redis-cluster.js';

const cluster = ownRedisCluster();

const TIMEOUT_MS = 120_000;
const GOES_ON_WITHIN_MS = 10_000;
const CONFIRMED = `${HASH_TAG}confirmed`;
const promoted = () => cluster().promoted();

it('a master that stops answering is left for the new one: saves and commits go on by themselves', {
  timeout: TIMEOUT_MS,
}, async () => {
  const { load, finish } = await openLoad(cluster(), { enqueueTimeoutMs: 2000 });
  await load.more(100);
  await load.confirm(cluster().master.client, CONFIRMED);
  await load.through(() => cluster().master.server.kill('SIGSTOP'), promoted);
  await load.more(100);
  expect((await finish()).longestGapMs).toBeLessThan(patient(GOES_ON_WITHIN_MS));
});
