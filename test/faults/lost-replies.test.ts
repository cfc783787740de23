import { expect, it, onTestFinished, vi } from 'vitest';
import { decodeChunk } from '../../src/chunk.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { poisonablePlace, testLetters } from '../dead-letters/letters.js';
import { patient } from '../patience.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { failedJobs } from '../writer/forged-jobs.js';
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

it('a save whose number was given out and not heard of keeps it, also where a worker was done with it meanwhile', {
  timeout: TIMEOUT_MS,
}, async () => {
  const place = await poisonablePlace();
  const proxy = await TcpProxy.before(place.redis);
  const store = testStore(place, { redis: proxy.url, enqueueTimeoutMs: 60_000 });
  const letters = testLetters(place);
  await startWriter(place);
  await store.save(newCheckpoint());
  const swallowed = proxy.swallowRepliesFrom('ckpt-sequence');
  const saving = store.save(newCheckpoint({ state: { poison: 1 } }));
  await swallowed;
  await proxy.refuse('reset');
  // A worker finds the chunk that has no job, and PostgreSQL refuses its record.
  await vi.waitFor(async () => expect(await letters.count()).toBe(1), { timeout: TIMEOUT_MS / 2 });
  const before = await letters.list();
  await proxy.open();
  await expect((await saving).committed()).rejects.toMatchObject({ code: 'DEAD_LETTERED' });
  expect((await letters.list()).map(({ sequence }) => sequence)).toEqual([before[0]?.sequence]);
  expect((await failedJobs(place)).size).toBe(0);
});

it('a save that reached Redis after its store had given it up does not take the place of a later one', {
  timeout: TIMEOUT_MS,
}, async () => {
  const place = await testPlace();
  const proxy = await TcpProxy.before(place.redis);
  const giveUpMs = Math.ceil(patient(500));
  const store = testStore(place, { redis: proxy.url, enqueueTimeoutMs: giveUpMs });
  await store.initSchema();
  await store.save(newCheckpoint());
  const monitor = await place.client.monitor();
  onTestFinished(() => monitor.disconnect());
  let reservations = 0;
  monitor.on('monitor', (_, args: string[]) => {
    if (args[0] === 'eval' && args.includes(place.keys.sequence) && args.includes(place.keys.marks))
      reservations++;
  });
  const { id, executionId } = newCheckpoint();
  proxy.delay({ toServer: 3 * giveUpMs });
  const givenUp = store.save({ ...newCheckpoint({ id, executionId, state: 'given up' }), version: 1 });
  await expect(givenUp).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  const later = testStore(place);
  await later.save({ ...newCheckpoint({ id, executionId, state: 'later' }), version: 1 });
  await vi.waitFor(() => expect(reservations).toBe(2));
  await startWriter(place);
  await vi.waitFor(async () => expect(await place.client.zcard(place.keys.chunks)).toBe(0));
  expect(await later.load(id)).toMatchObject({ state: 'later' });
});
