import { expect, it } from 'vitest';
import { testPlace, testStore } from '../store/place.js';
import { type FailpointName, planFailpoints } from './failpoints.js';
import { Load } from './load.js';
import { FaultOracle, NOTHING_WRONG } from './oracle.js';
import { TcpProxy } from './tcp-proxy.js';
import { startWorkerProcess } from './worker-process.js';

const GIVEN_UP_WITHIN_MS = 45_000;
const TIMEOUT_MS = 120_000;

it.each<FailpointName>(['mid_copy', 'after_copy'])(
  'a connection that the network has forgotten at %s is given up: the batch goes over a new one',
  { timeout: TIMEOUT_MS },
  async (at) => {
    const place = await testPlace();
    const proxy = await TcpProxy.before(place.postgres);
    const store = testStore(place);
    const oracle = new FaultOracle();
    const failpoints = await planFailpoints({ at, action: 'hold' });
    const worker = await startWorkerProcess({ ...place, postgres: proxy.url }, { failpoints });
    const load = Load.start(store, oracle, { maxSaves: 100, deleteEvery: 0 });
    expect(await worker.held()).toBe(at);
    proxy.stallConnected();
    worker.goOn();
    await load.more(100 - load.counts.acknowledged);
    const { acknowledged } = await load.stop();
    const left = () => place.client.zcard(place.keys.chunks);
    await expect.poll(left, { timeout: GIVEN_UP_WITHIN_MS, interval: 100 }).toBe(0);
    expect(await oracle.verify(place)).toEqual({ acknowledged, ...NOTHING_WRONG });
  },
);
