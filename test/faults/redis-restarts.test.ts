import { randomInt } from 'node:crypto';
import { expect, it } from 'vitest';
import { type Place, testPlace, testStore } from '../store/place.js';
import { Load } from './load.js';
import { FaultOracle, NOTHING_WRONG } from './oracle.js';
import { ownRedis } from './services.js';
import { startWorkerProcess } from './worker-process.js';

const redis = ownRedis({ appendfsync: 'always' });

const TIMEOUT_MS = 120_000;

/** A load on the file's own Redis, and a worker. */
async function openLoad() {
  const place = await testPlace({ redis: redis().url });
  const store = testStore(place, { enqueueTimeoutMs: 5000 });
  const oracle = new FaultOracle();
  const worker = await startWorkerProcess(place, { comeBackMs: 3000 });
  const load = Load.start(store, oracle);
  await load.more(100);
  const expectAllThere = async () => {
    const { acknowledged } = await load.stop();
    await worker.outlives(store.flush());
    expect(await oracle.verify(place)).toEqual({ acknowledged, ...NOTHING_WRONG });
    expect(await place.client.zcard(place.keys.failed)).toBe(0);
  };
  return { place, load, worker, expectAllThere };
}

/** The connections of producer and worker: all but the one that asks. @returns their ids */
async function connectionsOfOthers({ client }: Place): Promise<string[]> {
  const own = await client.client('ID');
  const list = (await client.client('LIST')) as string;
  return [...list.matchAll(/^id=(\d+) /gm)].map(([, id]) => id as string).filter((id) => Number(id) !== own);
}

it('kill -9 of a Redis that syncs every write, ten times under load: nothing acknowledged is lost', {
  timeout: TIMEOUT_MS,
}, async () => {
  const { load, worker, expectAllThere } = await openLoad();
  for (let kills = 0; kills < 10; kills++) {
    await worker.outlives(load.more(randomInt(1, 100)));
    await redis().kill('SIGKILL');
    await redis().restart();
  }
  await worker.outlives(load.more(100));
  await expectAllThere();
});

it('CLIENT KILL of connections of producer and worker, sixty times under load: nothing is lost or written twice', {
  timeout: TIMEOUT_MS,
}, async () => {
  const { place, load, worker, expectAllThere } = await openLoad();
  for (let kills = 0; kills < 60; ) {
    const ids = await connectionsOfOthers(place);
    // One, or all at once.
    for (const id of kills % 10 === 0 ? ids : [ids[randomInt(ids.length)]]) {
      if (id) kills += Number(await place.client.client('KILL', 'ID', id));
    }
    await worker.outlives(load.more(randomInt(1, 20)));
  }
  await expectAllThere();
});
