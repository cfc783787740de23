import { describe, expect, it } from 'vitest';
import { PostgresCheckpointStore, type SaveReceipt } from '../../src/index.js';
import { newCheckpoint, newExecution } from '../contract/checkpoints.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { failedJobs } from './forged-jobs.js';

/** A place whose table refuses states with the key `poison`. */
async function poisonablePlace(): Promise<Place> {
  const place = await testPlace();
  const store = new PostgresCheckpointStore({ postgres: place.postgres, schema: place.schema });
  await store.initSchema();
  await store.close();
  await place.pool.query(
    `ALTER TABLE ${place.schema}.checkpoints ADD CONSTRAINT no_poison CHECK (NOT state ? 'poison')`,
  );
  return place;
}

async function outcomesOf(receipts: readonly SaveReceipt[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(receipts.map((receipt) => receipt.committed()));
  return settled.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code));
}

describe('a record that PostgreSQL refuses for good', () => {
  it('makes exactly its chunk a failed job; all other chunks of the batch are committed', async () => {
    const place = await poisonablePlace();
    const store = testStore(place, { maxChunkRecords: 1 });
    const executionId = newExecution();
    const poisoned = [3, 4, 17];
    const receipts = await store.saveBatch(
      Array.from({ length: 20 }, (_, i) =>
        newCheckpoint({ executionId, state: poisoned.includes(i) ? { poison: i } : { i } }),
      ),
    );
    const writer = await startWriter(place, { lingerMs: 100 });
    const outcomes = await outcomesOf(receipts);
    expect(outcomes).toEqual(receipts.map((_, i) => (poisoned.includes(i) ? 'WRITE_REFUSED' : 'committed')));
    expect(await store.list(executionId)).toHaveLength(17);
    const failed = await failedJobs(place);
    expect([...failed.keys()].sort()).toEqual(poisoned.map((i) => `w-${receipts[i]?.sequence}`).sort());
    expect([...failed.values()]).toEqual(Array(3).fill('PostgreSQL error 23514'));
    expect(writer.stats.committed).toBe(17);
  });

  it('is told by flush, once for each job, and not again', async () => {
    const place = await poisonablePlace();
    const store = testStore(place, { maxChunkRecords: 1 });
    await startWriter(place);
    await store.saveBatch(
      [{ poison: 1 }, { fine: 1 }, { poison: 2 }].map((state) => newCheckpoint({ state })),
    );
    const error: unknown = await store.flush().catch((reason) => reason);
    expect(error).toBeInstanceOf(AggregateError);
    const refusals = (error as AggregateError).errors;
    expect(refusals.map(({ name, code }) => [name, code])).toEqual(
      Array(2).fill(['WriteRefusedError', 'WRITE_REFUSED']),
    );
    expect(new Set(refusals.map(({ jobId }) => jobId)).size).toBe(2);
    await store.flush();
  });

  it('rejects a save with ack committed', async () => {
    const place = await poisonablePlace();
    await startWriter(place);
    const saving = testStore(place).save(newCheckpoint({ state: { poison: 1 } }), { ack: 'committed' });
    await expect(saving).rejects.toMatchObject({ code: 'WRITE_REFUSED' });
  });

  it('makes a read of the latest say so, rather than give what was before it', async () => {
    const place = await poisonablePlace();
    const store = testStore(place, { maxChunkRecords: 1 });
    await startWriter(place);
    const fine = newCheckpoint();
    const { executionId } = fine;
    await store.save(fine);
    await store.save(newCheckpoint({ executionId, state: { poison: 1 } }));
    await expect(store.latest(executionId, { consistency: 'latest' })).rejects.toMatchObject({
      code: 'WRITE_REFUSED',
    });
    expect((await store.latest(executionId))?.id).toBe(fine.id);
    expect(await store.latest(newCheckpoint().executionId, { consistency: 'latest' })).toBeUndefined();
  });

  it('may be nested deeper than the server can parse', async () => {
    const place = await testPlace();
    // Node prints less deep values than PostgreSQL parses with its default stack: a server with a smaller one.
    const postgres = { connectionString: place.postgres, options: '-c max_stack_depth=100kB' };
    const store = testStore(place, { maxChunkRecords: 1 });
    let deep: unknown = 'bottom';
    for (let depth = 0; depth < 2000; depth++) deep = [deep];
    const receipts = await store.saveBatch([
      newCheckpoint(),
      newCheckpoint({ state: deep }),
      newCheckpoint(),
    ]);
    await startWriter(place, { postgres });
    expect(await outcomesOf(receipts)).toEqual(['committed', 'WRITE_REFUSED', 'committed']);
    expect([...(await failedJobs(place)).values()]).toEqual([expect.stringContaining('54001')]);
  });
});
