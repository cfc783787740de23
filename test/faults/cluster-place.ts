import type {
  CheckpointWriter,
  QueuedCheckpointStore,
  QueuedCheckpointStoreOptions,
} from '../../src/index.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { FailoverLoad, type FailoverReport } from './failover.js';
import { HASH_TAG, type RedisClusterServers } from './redis-cluster.js';

/** A place whose queue is in the cluster. */
export async function clusterPlace({ url }: RedisClusterServers): Promise<Place> {
  return { ...(await testPlace()), redis: url };
}

export function clusterStore(
  place: Place,
  options: Partial<QueuedCheckpointStoreOptions> = {},
): QueuedCheckpointStore {
  return testStore(place, { prefix: HASH_TAG, ...options });
}

/** Jobs that the old master gave it, and whose name it did not hear any more, come back after a second and not after forty. */
export function startClusterWriter(place: Place): Promise<CheckpointWriter> {
  return startWriter(place, { prefix: HASH_TAG, lockDurationMs: 1000 });
}

/** A load on two stores, and a writer in this process. */
export async function openLoad(
  servers: RedisClusterServers,
  options: Partial<QueuedCheckpointStoreOptions> = {},
): Promise<{ load: FailoverLoad; finish(): Promise<FailoverReport> }> {
  const place = await clusterPlace(servers);
  await startClusterWriter(place);
  const stores = [clusterStore(place, options), clusterStore(place, options)];
  const load = new FailoverLoad(stores);
  const finish = () =>
    load.verify(place, async () => {
      for (const store of stores) await store.flush();
    });
  return { load, finish };
}
