import { emptyCheckpoint, uuid6 } from '@langchain/langgraph-checkpoint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CheckpointWriter } from '../../src/index.js';
import type { QueuedPostgresSaver } from '../../src/langgraph/index.js';
import { freePort } from '../../src/services/free-port.js';
import { TcpProxy } from '../faults/tcp-proxy.js';
import { patient } from '../patience.js';
import { openPlace, type Place, testPlace } from '../store/place.js';
import { graphWriterOptions, startGraphWriter } from './graph-writer.js';
import { graphsOn } from './graphs.js';
import { openSaver, testSaver, tuplesOf } from './place.js';
import { onThread } from './scenarios.js';

const TIMEOUT_MS = 300;
/** For a busy machine. */
const GRACE_MS = 1500;
const CONFIG = onThread('t');
const PENDING = { name: 'PendingWritesTimeoutError', code: 'PENDING_WRITES_TIMEOUT' };

/** All ways to read what was put of a thread. */
const READS: Array<[what: string, read: (saver: QueuedPostgresSaver) => Promise<unknown>]> = [
  ['getTuple', (saver) => saver.getTuple(CONFIG)],
  ['getTuple of one checkpoint', (saver) => saver.getTuple(onThread('t', { checkpoint_id: 'old' }))],
  ['get', (saver) => saver.get(CONFIG)],
  ['list', (saver) => saver.list(CONFIG).next()],
  ['list of all threads', (saver) => saver.list({}).next()],
  ['getDeltaChannelHistory', (saver) => saver.getDeltaChannelHistory({ config: CONFIG, channels: ['log'] })],
  ['the state of a graph', (saver) => graphsOn(saver).talk.getState(CONFIG)],
  ['a second turn', (saver) => graphsOn(saver).talk.invoke({ turn: 2 }, CONFIG)],
  ['copyThread', (saver) => saver.copyThread('t', 'copy')],
  ['copyThread onto it', (saver) => saver.copyThread('other', 't')],
  ['pruneThreads', (saver) => saver.pruneThreads({ keepLast: 1, threadId: 't' })],
];

/** A thread with a state that is committed, and one that is not, and nobody who would commit it. */
async function threadWithPending(place: Place): Promise<void> {
  const writer = new CheckpointWriter(graphWriterOptions(place));
  const saver = openSaver(place);
  await writer.start();
  await graphsOn(saver).talk.invoke({ turn: 1 }, CONFIG);
  await saver.flush();
  await writer.close();
  await saver.put(
    CONFIG,
    { ...emptyCheckpoint(), id: uuid6(1) },
    { source: 'loop', step: 9, parents: {} },
    {},
  );
}

/** Puts a checkpoint that is newer than those of any graph. */
async function putStep(saver: QueuedPostgresSaver, step: number): Promise<void> {
  await saver.put(
    CONFIG,
    { ...emptyCheckpoint(), id: uuid6(step) },
    { source: 'loop', step, parents: {} },
    {},
  );
}

/** How long a read takes until it throws, and what it throws. */
async function failureOf(reading: Promise<unknown>): Promise<{ error: unknown; ms: number }> {
  const began = performance.now();
  const error = await reading.then(
    (value) => ({ read: value }),
    (reason) => reason,
  );
  return { error, ms: performance.now() - began };
}

describe('while what was put is not committed and no writer runs', () => {
  let place: Place;
  beforeAll(async () => {
    place = await openPlace();
    await threadWithPending(place);
  });
  afterAll(() => place?.remove());

  it.each(READS)('%s throws at its timeout, and never gives an older state', async (_, read) => {
    const { error, ms } = await failureOf(read(testSaver(place, { readTimeoutMs: TIMEOUT_MS })));
    expect(error).toMatchObject(PENDING);
    expect(ms).toBeGreaterThanOrEqual(TIMEOUT_MS - 20);
    expect(ms).toBeLessThan(patient(TIMEOUT_MS + GRACE_MS));
  });

  it("consistency 'committed' reads what is there, and another thread is read at once", async () => {
    const committed = testSaver(place, { consistency: 'committed' });
    expect((await committed.getTuple(CONFIG))?.metadata).toMatchObject({ step: 2 });
    const other = testSaver(place, { readTimeoutMs: TIMEOUT_MS });
    expect(await other.getTuple(onThread('other'))).toBeUndefined();
  });

  it('a read that waits is answered as soon as a writer has come', async () => {
    const reading = testSaver(place, { readTimeoutMs: 20_000 }).getTuple(CONFIG);
    await startGraphWriter(place);
    expect((await reading)?.metadata).toMatchObject({ step: 9 });
  });
});

describe('while Redis', () => {
  it.each(['is away', 'answers nothing'])('%s, each read throws within its timeout', async (how) => {
    const place = await testPlace();
    await threadWithPending(place);
    const redis = how === 'is away' ? `redis://127.0.0.1:${await freePort()}` : await blackHole(place);
    const saver = testSaver(place, { redis, readTimeoutMs: TIMEOUT_MS, enqueueTimeoutMs: TIMEOUT_MS });
    for (const [what, read] of READS) {
      const { error, ms } = await failureOf(read(saver));
      expect([what, error]).toMatchObject([what, { code: 'QUEUE_UNAVAILABLE' }]);
      expect(ms).toBeLessThan(patient(TIMEOUT_MS + GRACE_MS));
    }
    // Who may read what is committed alone needs no Redis.
    const committed = testSaver(place, { redis, consistency: 'committed', enqueueTimeoutMs: TIMEOUT_MS });
    expect((await tuplesOf(committed, 't')).length).toBe(4);
  });

  async function blackHole(place: Place): Promise<string> {
    const proxy = await TcpProxy.before(place.redis);
    proxy.stall();
    return proxy.url;
  }
});

describe('a saver that was ended', () => {
  it('throws ClosedError, and ending it twice is ending it once', async () => {
    const saver = testSaver(await testPlace());
    await Promise.all([saver.end(), saver.end()]);
    for (const [, read] of READS)
      expect((await failureOf(read(saver))).error).toMatchObject({ code: 'CLOSED' });
    for (const call of [
      () => saver.deleteThread('t'),
      () => saver.flush(),
      async () => saver.listThreads(),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'CLOSED' });
    }
    await expect(
      saver.putWrites(onThread('t', { checkpoint_id: '1' }), [['a', 1]], 'task'),
    ).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('sends what was put before it was ended', async () => {
    const place = await testPlace();
    const saver = testSaver(place);
    const puts = [1, 2, 3].map((step) => putStep(saver, step));
    await saver.end();
    await Promise.all(puts);
    await startGraphWriter(place);
    expect(await tuplesOf(testSaver(place), 't')).toHaveLength(3);
  });

  it('with a writer of its own waits for the commit of what was put', async () => {
    const place = await testPlace();
    const saver = testSaver(place, { writer: true });
    await graphsOn(saver).talk.invoke({ turn: 1 }, CONFIG);
    await saver.end();
    expect(await tuplesOf(testSaver(place, { consistency: 'committed' }), 't')).toHaveLength(4);
  });
});
