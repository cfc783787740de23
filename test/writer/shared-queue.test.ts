import { describe, expect, it, vi } from 'vitest';
import { silentLogger } from '../../src/logger.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { startWriter, testPlace, testStore } from '../store/place.js';

const SAVES = 40;

async function registered(place: Awaited<ReturnType<typeof testPlace>>, workers: number): Promise<void> {
  await vi.waitFor(async () => expect(await place.client.hlen(place.keys.workers)).toBe(workers));
}

/** BullMQ's scores of delayed jobs: milliseconds since 1970, and a counter below them. */
const SCORE_OF_A_MS = 0x1000;

/** Looks until it is called how far ahead jobs are put off. */
function longestDelays({ client, keys }: Awaited<ReturnType<typeof testPlace>>): () => Promise<number[]> {
  const delays: number[] = [];
  let looking = true;
  const look = async () => {
    while (looking) {
      const [, score] = await client.zrange(`${keys.jobPrefix}delayed`, '-1', '-1', 'WITHSCORES');
      if (score !== undefined) delays.push(Number(score) / SCORE_OF_A_MS - Date.now());
    }
  };
  const looked = look();
  return async () => {
    looking = false;
    await looked;
    return delays;
  };
}

describe('two tables on one queue, with a worker each', () => {
  it('have all saves committed without the wait for a retry', async () => {
    const place = await testPlace();
    const stores = ['a', 'b'].map((table) => testStore(place, { table, maxChunkRecords: 1 }));
    await startWriter(place, { table: 'a', concurrency: 2 });
    await startWriter(place, { table: 'b', concurrency: 2 });
    await registered(place, 2);
    const checkpoints = Array.from({ length: SAVES }, () => newCheckpoint());
    const receipts = await Promise.all(
      checkpoints.flatMap((checkpoint) => stores.map((store) => store.save(checkpoint))),
    );
    // A failed attempt would put a job off for 5 s; some of 80 jobs always go to the wrong worker first.
    const longest = longestDelays(place);
    const outcomes = await Promise.all(receipts.map((receipt) => receipt.committed()));
    expect(new Set(outcomes)).toEqual(new Set(['committed']));
    const delays = await longest();
    expect(delays.length).toBeGreaterThan(0);
    expect(Math.max(...delays)).toBeLessThan(1000);
    for (const store of stores) {
      expect(await store.load(checkpoints[0]?.id as string)).toMatchObject(checkpoints[0] as object);
    }
  });

  it('do not hold up the latest of each other', async () => {
    const place = await testPlace();
    const [served, unserved] = ['a', 'b'].map((table) => testStore(place, { table }));
    await startWriter(place, { table: 'a' });
    const checkpoint = newCheckpoint();
    await unserved?.save(checkpoint);
    await served?.save(checkpoint);
    expect(await served?.latest(checkpoint.executionId, { consistency: 'latest' })).toMatchObject({
      id: checkpoint.id,
    });
  });
});

describe('jobs for a table that no worker writes', () => {
  it('wait, are logged once, and are committed as soon as a worker for them comes', async () => {
    const place = await testPlace();
    const errors: object[] = [];
    const logger = { ...silentLogger, error: (fields: object) => void errors.push(fields) };
    await startWriter(place, { table: 'a', logger });
    const store = testStore(place, { table: 'b', maxChunkRecords: 1 });
    const receipts = await Promise.all(Array.from({ length: 10 }, () => store.save(newCheckpoint())));
    await vi.waitFor(async () => expect(await place.client.zcard(`${place.keys.jobPrefix}delayed`)).toBe(10));
    expect(errors).toEqual([
      expect.objectContaining({ reason: expect.stringContaining(`this worker writes ${place.schema}.a`) }),
    ]);
    const waiting = receipts[0]?.committed({ timeoutMs: 50 });
    await expect(waiting).rejects.toMatchObject({ reason: 'no-worker-of-this-table' });
    await startWriter(place, { table: 'b' });
    const outcomes = await Promise.all(receipts.map((receipt) => receipt.committed()));
    expect(new Set(outcomes)).toEqual(new Set(['committed']));
  });
});
