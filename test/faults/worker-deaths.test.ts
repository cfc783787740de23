import { randomInt } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { testPlace, testStore } from '../store/place.js';
import { actedAt, type FailpointName, planFailpoints } from './failpoints.js';
import { Load } from './load.js';
import { FaultOracle, NOTHING_WRONG } from './oracle.js';
import { startWorkerProcess, type WorkerProcess } from './worker-process.js';

/** Locks of a dead worker expire, and its jobs are looked for, within this time. */
const COME_BACK = { comeBackMs: 3000 };
const TIMEOUT_MS = 60_000;

describe('a worker that is killed', () => {
  it('ten times, at any moment, under load: nothing acknowledged is lost and nothing stored is stale', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const place = await testPlace();
    const store = testStore(place);
    const oracle = new FaultOracle();
    const workers = await Promise.all([
      startWorkerProcess(place, COME_BACK),
      startWorkerProcess(place, COME_BACK),
    ]);
    const load = Load.start(store, oracle);
    for (let kills = 0; kills < 10; kills++) {
      await load.more(randomInt(1, 400));
      const index = randomInt(workers.length);
      const worker = workers[index] as WorkerProcess;
      worker.kill('SIGKILL');
      expect(await worker.ended).toEqual({ code: null, signal: 'SIGKILL' });
      workers[index] = await startWorkerProcess(place, COME_BACK);
    }
    await load.stop();
    await store.flush();
    expect(await oracle.verify(place)).toEqual({
      acknowledged: load.counts.acknowledged,
      ...NOTHING_WRONG,
    });
    expect(await place.client.zcard(place.keys.failed)).toBe(0);
  });

  const STORED_AT_DEATH: [FailpointName, boolean][] = [
    ['before_copy', false],
    ['mid_copy', false],
    ['after_copy', false],
    ['after_commit', true],
    ['before_ack', true],
  ];
  it.each(STORED_AT_DEATH)(
    'at %s, twice, with rows stored: %s',
    { timeout: TIMEOUT_MS },
    async (at, stored) => {
      const place = await testPlace();
      const store = testStore(place);
      const oracle = new FaultOracle();
      await store.initSchema();
      const failpoints = await planFailpoints({ at, action: 'die', times: 2 });
      const load = Load.start(store, oracle, { maxSaves: 100, deleteEvery: 0 });
      for (let deaths = 1; deaths <= 2; deaths++) {
        const worker = await startWorkerProcess(place, { ...COME_BACK, failpoints });
        expect(await worker.ended).toEqual({ code: null, signal: 'SIGKILL' });
        expect(await actedAt(failpoints, at)).toBe(deaths);
      }
      await load.more(100 - load.counts.acknowledged);
      const { rows } = await place.pool.query(
        `SELECT count(*)::int AS count FROM ${place.schema}.checkpoints`,
      );
      expect(rows[0].count > 0).toBe(stored);
      const survivor = await startWorkerProcess(place, { ...COME_BACK, failpoints });
      await store.flush();
      expect(await oracle.verify(place)).toEqual({ acknowledged: 100, ...NOTHING_WRONG });
      expect(survivor.running).toBe(true);
    },
  );
});
