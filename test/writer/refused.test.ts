import { describe, expect, it } from 'vitest';
import { DeadLetteredError, PostgresCheckpointStore, type SaveReceipt } from '../../src/index.js';
import { newCheckpoint, newExecution } from '../contract/checkpoints.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { deadLetters, failedJobs } from './forged-jobs.js';

const LATEST = { consistency: 'latest' } as const;
const DEAD_LETTERED = { name: 'DeadLetteredError', code: 'DEAD_LETTERED' };

/** A place whose table refuses states with the key `poison`, which COPY lets pass and the merge meets. */
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

/** Deeper than a server with a small stack parses, so that COPY refuses it and names the line. */
function nested(): unknown {
  let deep: unknown = 'bottom';
  for (let depth = 0; depth < 2000; depth++) deep = [deep];
  return deep;
}

async function outcomesOf(receipts: readonly SaveReceipt[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(receipts.map((receipt) => receipt.committed()));
  return settled.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code));
}

describe('a record that PostgreSQL refuses for good', () => {
  it.each([
    ['by the merge', '23514', (i: number): unknown => ({ poison: i })],
    ['by COPY', '54001', nested],
  ])(
    '%s becomes a dead letter; all others of its chunk and batch are committed',
    async (_, sqlState, poison) => {
      const place = await poisonablePlace();
      const small = { connectionString: place.postgres, options: '-c max_stack_depth=100kB' };
      const store = testStore(place);
      const executionId = newExecution();
      const poisoned = [0, 3, 4, 19];
      const receipts = await store.saveBatch(
        Array.from({ length: 20 }, (_unused, i) =>
          newCheckpoint({ executionId, state: poisoned.includes(i) ? poison(i) : { i } }),
        ),
      );
      const writer = await startWriter(place, { lingerMs: 100, postgres: small });
      const outcomes = await outcomesOf(receipts);
      expect(outcomes).toEqual(
        receipts.map((_r, i) => (poisoned.includes(i) ? 'DEAD_LETTERED' : 'committed')),
      );
      expect(await store.list(executionId)).toHaveLength(16);
      const bad = poisoned.map((i) => receipts[i] as SaveReceipt);
      expect(await deadLetters(place)).toMatchObject(
        bad.map(({ id, sequence }) => ({ id, sequence, executionId, sqlState, replays: 0 })),
      );
      expect((await failedJobs(place)).size).toBe(0);
      expect(writer.stats).toMatchObject({ committed: 16, deadLettered: 4 });
    },
  );

  it('is told with its reason, its SQLSTATE and its dead letter, also when nobody asked before it ended', async () => {
    const place = await poisonablePlace();
    const store = testStore(place);
    await startWriter(place);
    const checkpoint = newCheckpoint({ state: { poison: 'a secret' } });
    const receipt = await store.save(checkpoint);
    await store.flush().catch(() => {});
    const error: unknown = await receipt.committed().catch((reason) => reason);
    expect(error).toBeInstanceOf(DeadLetteredError);
    expect(error).toMatchObject({
      ...DEAD_LETTERED,
      id: checkpoint.id,
      executionId: checkpoint.executionId,
      deadLetterId: `d-${receipt.sequence}`,
      sqlState: '23514',
      reason: expect.stringContaining('23514'),
    });
    expect(JSON.stringify([error, (error as Error).message, await deadLetters(place)])).not.toContain(
      'secret',
    );
  });

  it('gives way to an older save of its id that shares its batch', async () => {
    const place = await poisonablePlace();
    const store = testStore(place);
    const checkpoint = newCheckpoint({ state: 'good' });
    const receipts = await store.saveBatch([checkpoint, { ...checkpoint, version: 2, state: { poison: 1 } }]);
    await startWriter(place);
    expect(await outcomesOf(receipts)).toEqual(['committed', 'DEAD_LETTERED']);
    expect((await store.load(checkpoint.id)).state).toBe('good');
  });

  it('is told by flush, once for each, and not again', async () => {
    const place = await poisonablePlace();
    const store = testStore(place);
    await startWriter(place);
    const [first, , second] = await store.saveBatch(
      [{ poison: 1 }, { fine: 1 }, { poison: 2 }].map((state) => newCheckpoint({ state })),
    );
    const error: unknown = await store.flush().catch((reason) => reason);
    expect(error).toBeInstanceOf(AggregateError);
    expect((error as AggregateError).errors).toMatchObject(
      [first, second].map((receipt) => ({ ...DEAD_LETTERED, id: receipt?.id })),
    );
    await store.flush();
  });

  it('is told by flush of its execution until it is dealt with, to everybody', async () => {
    const place = await poisonablePlace();
    await startWriter(place);
    const { id, executionId } = newCheckpoint();
    await testStore(place).save({ id, executionId, nodeName: '', state: { poison: 1 } });
    const other = testStore(place);
    for (const _ of [1, 2]) {
      await expect(other.flush(executionId)).rejects.toMatchObject({ errors: [{ ...DEAD_LETTERED, id }] });
    }
    await other.flush(newExecution());
    await other.clear(executionId);
    await other.flush(executionId);
  });

  it('rejects a save with ack committed', async () => {
    const place = await poisonablePlace();
    await startWriter(place);
    const saving = testStore(place).save(newCheckpoint({ state: { poison: 1 } }), { ack: 'committed' });
    await expect(saving).rejects.toMatchObject(DEAD_LETTERED);
  });
});

describe('a read of the latest where the newest save is a dead letter', () => {
  it('says so, rather than give what was before it; the list and other executions are as they are', async () => {
    const place = await poisonablePlace();
    const store = testStore(place);
    await startWriter(place);
    const fine = newCheckpoint();
    const { executionId } = fine;
    await store.save(fine);
    const bad = await store.save(newCheckpoint({ executionId, state: { poison: 1 } }));
    await expect(store.latest(executionId, LATEST)).rejects.toMatchObject({ ...DEAD_LETTERED, id: bad.id });
    expect((await store.latest(executionId))?.id).toBe(fine.id);
    expect(await store.list(executionId, LATEST)).toHaveLength(1);
    expect((await store.load(fine.id, { ...LATEST, executionId })).id).toBe(fine.id);
    await expect(store.load(bad.id, { ...LATEST, executionId })).rejects.toMatchObject(DEAD_LETTERED);
    expect(await store.latest(newCheckpoint().executionId, LATEST)).toBeUndefined();
  });

  it('gives what was saved after it', async () => {
    const place = await poisonablePlace();
    const store = testStore(place);
    await startWriter(place);
    const { executionId } = newCheckpoint();
    await store.save(newCheckpoint({ executionId, state: { poison: 1 } }));
    const next = newCheckpoint({ executionId });
    await store.save(next);
    expect((await store.latest(executionId, LATEST))?.id).toBe(next.id);
  });

  it('takes no notice of it once it is deleted', async () => {
    const place = await poisonablePlace();
    const store = testStore(place);
    await startWriter(place);
    const { executionId } = newCheckpoint();
    await store.save(newCheckpoint({ executionId, state: { poison: 1 } }));
    await expect(store.latest(executionId, LATEST)).rejects.toMatchObject(DEAD_LETTERED);
    await store.clear(executionId);
    expect(await store.latest(executionId, LATEST)).toBeUndefined();
  });
});
