import { expect, it } from 'vitest';
import { decodeChunk } from '../../src/chunk.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { Load } from './load.js';
import { FaultOracle, NOTHING_WRONG } from './oracle.js';
import { TcpProxy } from './tcp-proxy.js';

const TIMEOUT_MS = 120_000;

/** How many records all jobs that wait hold together. */
async function waitingRecords({ client, keys }: Place): Promise<number> {
  const jobIds = await client.lrange(keys.waiting, 0, -1);
  const payloads = await Promise.all(jobIds.map((jobId) => client.getBuffer(keys.payloadPrefix + jobId)));
  return payloads.reduce((sum, payload) => sum + decodeChunk(payload as Buffer).bodies.length, 0);
}

it.each([
  ['a sequence was given out', 'ckpt-sequence'],
  ['a job was added', ':events'],
])(
  'a reply that is lost after %s, ten times under load: no save is lost, none is queued twice',
  {
    timeout: TIMEOUT_MS,
  },
  async (_, inRequest) => {
    const place = await testPlace();
    const proxy = await TcpProxy.before(place.redis);
    const store = testStore(place, { redis: proxy.url, enqueueTimeoutMs: 20_000 });
    const oracle = new FaultOracle();
    await store.initSchema();
    const load = Load.start(store, oracle, { deleteEvery: 0 });
    for (let lost = 0; lost < 10; lost++) {
      await load.more(50);
      await proxy.swallowRepliesFrom(inRequest);
      proxy.cut('reset');
      await proxy.open();
    }
    await load.more(50);
    const counts = await load.stop();
    expect(counts.queueUnavailable).toBe(0);
    expect(await waitingRecords(place)).toBe(counts.acknowledged);
    await startWriter(place);
    await store.flush();
    expect(await oracle.verify(place)).toEqual({ acknowledged: counts.acknowledged, ...NOTHING_WRONG });
  },
);
