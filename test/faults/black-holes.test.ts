import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { patient } from '../patience.js';
import { testPlace, testStore } from '../store/place.js';
import { type FailpointName, planFailpoints } from './failpoints.js';
import { Load } from './load.js';
import { FaultOracle, NOTHING_WRONG } from './oracle.js';
import { TcpProxy } from './tcp-proxy.js';
import { startWorkerProcess } from './worker-process.js';

const TIMEOUT_MS = 180_000;
const BLACK_HOLE_MS = 5000;
const RESUMES_WITHIN_MS = 10_000;

/** A load, and a worker behind a proxy, which has a batch half done. */
async function openHalfDone(at: FailpointName) {
  const place = await testPlace();
  const proxy = await TcpProxy.before(place.postgres);
  const store = testStore(place);
  const oracle = new FaultOracle();
  const failpoints = await planFailpoints({ at, action: 'hold' });
  const worker = await startWorkerProcess({ ...place, postgres: proxy.url }, { failpoints });
  const load = Load.start(store, oracle, { deleteEvery: 0, pauseMs: 50 });
  expect(await worker.held()).toBe(at);
  /** @returns how long it took */
  const expectAllThere = async () => {
    const { acknowledged } = await load.stop();
    const began = performance.now();
    await worker.outlives(store.flush());
    expect(performance.now() - began).toBeLessThan(patient(RESUMES_WITHIN_MS));
    expect(await oracle.verify(place)).toEqual({ acknowledged, ...NOTHING_WRONG });
    expect(await place.client.zcard(place.keys.failed)).toBe(0);
  };
  return { proxy, worker, load, expectAllThere };
}

const STAGES: FailpointName[] = ['mid_copy', 'after_copy'];

it.each(STAGES)(
  'a network that passes nothing for a while, from %s on, only delays commits',
  {
    timeout: TIMEOUT_MS,
  },
  async (at) => {
    const { proxy, worker, load, expectAllThere } = await openHalfDone(at);
    proxy.stall();
    worker.goOn();
    await delay(BLACK_HOLE_MS);
    await load.more(50);
    proxy.resume();
    await load.more(50);
    await expectAllThere();
  },
);
