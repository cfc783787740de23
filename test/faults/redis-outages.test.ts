import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { QueueUnavailableError } from '../../src/index.js';
import { freePort } from '../../src/services/free-port.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { patient } from '../patience.js';
import { testPlace, testStore } from '../store/place.js';
import { Load } from './load.js';
import { FaultOracle, NOTHING_WRONG } from './oracle.js';
import { ownRedis } from './services.js';
import { TcpProxy } from './tcp-proxy.js';
import { startWorkerProcess } from './worker-process.js';

const redis = ownRedis({ appendfsync: 'always' });

/** BullMQ of old did not come back after more than six seconds. */
const OUTAGE_MS = 12_000;
const RESUMES_WITHIN_MS = 10_000;
const TIMEOUT_MS = 180_000;

describe('without a Redis', () => {
  const ENQUEUE_TIMEOUT_MS = 1000;
  /** For a busy machine; BullMQ and ioredis would wait for minutes. */
  const GRACE_MS = 1000;

  it.each([
    ['that listens', async () => `redis://127.0.0.1:${await freePort()}`],
    [
      'that answers',
      async () => {
        const proxy = await TcpProxy.before(redis().url);
        proxy.stall();
        return proxy.url;
      },
    ],
  ])('%s, a save rejects within its deadline', async (_, url) => {
    const place = await testPlace();
    const store = testStore(place, { redis: await url(), enqueueTimeoutMs: ENQUEUE_TIMEOUT_MS });
    const began = performance.now();
    await expect(store.save(newCheckpoint())).rejects.toBeInstanceOf(QueueUnavailableError);
    expect(performance.now() - began).toBeLessThan(patient(ENQUEUE_TIMEOUT_MS + GRACE_MS));
  });
});

it('a Redis that is killed for 12 s, twice: the busy and the idle resume within 10 s, nothing acknowledged is lost', {
  timeout: TIMEOUT_MS,
}, async () => {
  const busy = await testPlace({ redis: redis().url });
  const idle = await testPlace({ redis: redis().url });
  const [busyStore, idleStore] = [busy, idle].map((place) =>
    testStore(place, { enqueueTimeoutMs: 2000 }),
  ) as [ReturnType<typeof testStore>, ReturnType<typeof testStore>];
  const oracle = new FaultOracle();
  await Promise.all([startWorkerProcess(busy), startWorkerProcess(idle)]);
  await idleStore.save(newCheckpoint(), { ack: 'committed' });
  const load = Load.start(busyStore, oracle, { executions: 5 });
  for (let outage = 1; outage <= 2; outage++) {
    await load.more(200);
    await redis().kill('SIGKILL');
    await delay(OUTAGE_MS);
    expect(load.counts.queueUnavailable).toBeGreaterThan(0);
    await redis().restart();
    const began = performance.now();
    await Promise.all([
      idleStore.save(newCheckpoint(), { ack: 'committed' }),
      load.more(20).then(() => busyStore.save(newCheckpoint(), { ack: 'committed' })),
    ]);
    expect(performance.now() - began).toBeLessThan(patient(RESUMES_WITHIN_MS));
  }
  await load.stop();
  await busyStore.flush();
  const verdict = await oracle.verify(busy);
  // The two that only showed that saves are committed again.
  expect({ ...verdict, unexpected: verdict.unexpected.length }).toMatchObject({
    ...NOTHING_WRONG,
    unexpected: 2,
  });
});
