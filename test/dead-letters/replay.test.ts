import { describe, expect, it } from 'vitest';
import type { ReplayProgress, ReplayResult } from '../../src/index.js';
import { newCheckpoint, newExecution } from '../contract/checkpoints.js';
import { type Place, startWriter, testStore } from '../store/place.js';
import { forgedLine, poisonablePlace, refused, refusedOne, testLetters, tracesOf } from './letters.js';

const NOTHING: ReplayResult = {
  replayed: 0,
  committed: 0,
  superseded: 0,
  deleted: 0,
  deadAgain: 0,
  pending: 0,
  unknown: 0,
  skipped: 0,
};
const ALL = { all: true } as const;

async function waitingJobs({ client, keys }: Place): Promise<string[]> {
  return (await client.lrange(keys.waiting, 0, -1)).reverse();
}

describe('a replay', () => {
  it('of a cured record commits it with its own sequence, and nothing is left of the dead letter', async () => {
    const place = await poisonablePlace();
    const { checkpoint, sequence, deadLetterId } = await refusedOne(place);
    await place.cure();
    await startWriter(place);
    const letters = testLetters(place);
    expect(await letters.replay({ ids: [deadLetterId] })).toEqual({ ...NOTHING, replayed: 1, committed: 1 });
    const { rows } = await place.pool.query(`SELECT id, write_seq FROM ${place.schema}.checkpoints`);
    expect(rows).toEqual([{ id: checkpoint.id, write_seq: String(sequence) }]);
    expect(await tracesOf(place, deadLetterId)).toEqual([]);
    expect(await letters.count()).toBe(0);
  });

  it('of a version that is stale by now is superseded', async () => {
    const place = await poisonablePlace();
    const { checkpoint, deadLetterId } = await refusedOne(place);
    await startWriter(place);
    const store = testStore(place);
    await store.save({ ...checkpoint, state: 'newer' }, { ack: 'committed' });
    await place.cure();
    const result = await testLetters(place).replay({ ids: [deadLetterId] });
    expect(result).toEqual({ ...NOTHING, replayed: 1, superseded: 1 });
    expect((await store.load(checkpoint.id)).state).toBe('newer');
  });

  it.each(['clear', 'delete'] as const)('after a %s is deleted', async (how) => {
    const place = await poisonablePlace();
    const { checkpoint } = await refusedOne(place);
    const store = testStore(place);
    await (how === 'clear' ? store.clear(checkpoint.executionId) : store.delete(checkpoint.id));
    await place.cure();
    await startWriter(place);
    expect(await testLetters(place).replay(ALL)).toEqual({ ...NOTHING, replayed: 1, deleted: 1 });
    expect(await store.list(checkpoint.executionId)).toEqual([]);
  });

  it('of a record that is refused again leaves one dead letter, with one replay more and its first failure', async () => {
    const place = await poisonablePlace();
    const { sequence, deadLetterId } = await refusedOne(place);
    const letters = testLetters(place);
    const first = await letters.get(deadLetterId);
    await startWriter(place);
    for (const replays of [1, 2]) {
      expect(await letters.replay(ALL)).toEqual({ ...NOTHING, replayed: 1, deadAgain: 1 });
      expect(await letters.list()).toMatchObject([
        {
          deadLetterId: `d-${sequence}-${replays}`,
          replays,
          sequence,
          jobId: `r-${sequence}-${replays}`,
          firstFailedAt: first?.firstFailedAt,
        },
      ]);
    }
    expect(await tracesOf(place, `${deadLetterId}-1`)).toEqual([]);
  });

  it('tells nothing of what became of the records without PostgreSQL, but whether they are dead again', async () => {
    const place = await poisonablePlace();
    await refused(place, [{}, {}]);
    const letters = testLetters(place, { postgres: undefined });
    const writer = await startWriter(place);
    expect(await letters.replay(ALL)).toEqual({ ...NOTHING, replayed: 2, deadAgain: 2 });
    await place.cure();
    expect(await letters.replay(ALL)).toEqual({ ...NOTHING, replayed: 2, unknown: 2 });
    expect(writer.stats.committed).toBe(2);
  });

  it('takes those that the filter means, and with dryRun none', async () => {
    const place = await poisonablePlace();
    const executionId = newExecution();
    await refused(place, [{ executionId }, {}, { executionId }]);
    await place.cure();
    await startWriter(place);
    const letters = testLetters(place);
    const selection = { filter: { executionId } };
    expect(await letters.replay({ ...selection, dryRun: true })).toEqual({ ...NOTHING, replayed: 2 });
    expect(await letters.count()).toBe(3);
    expect(await letters.replay(selection)).toEqual({ ...NOTHING, replayed: 2, committed: 2 });
    expect(await letters.count()).toBe(1);
  });

  it('counts as skipped what is not there', async () => {
    const place = await poisonablePlace();
    const { deadLetterId } = await refusedOne(place);
    await place.cure();
    await startWriter(place);
    const result = await testLetters(place).replay({ ids: [deadLetterId, 'd-7', deadLetterId, 'd-7-1'] });
    expect(result).toEqual({ ...NOTHING, replayed: 1, committed: 1, skipped: 2 });
  });

  it('without a worker leaves the records in the queue, in their order, and says so', async () => {
    const place = await poisonablePlace();
    const receipts = await refused(place, [{}, {}, {}]);
    const letters = testLetters(place);
    expect(await letters.replay({ ...ALL, waitTimeoutMs: 50 })).toEqual({
      ...NOTHING,
      replayed: 3,
      pending: 3,
    });
    expect(await waitingJobs(place)).toHaveLength(3);
    expect(new Set(await waitingJobs(place))).toEqual(
      new Set(receipts.map(({ sequence }) => `r-${sequence}-1`)),
    );
    expect(await letters.count()).toBe(0);
  });

  it('is seen by reads of the latest and by flush while it waits in the queue', async () => {
    const place = await poisonablePlace();
    const { checkpoint } = await refusedOne(place);
    await place.cure();
    await testLetters(place).replay({ ...ALL, wait: false });
    const store = testStore(place);
    const options = { consistency: 'latest', timeoutMs: 1000 } as const;
    await expect(store.latest(checkpoint.executionId, options)).rejects.toMatchObject({
      code: 'PENDING_WRITES_TIMEOUT',
    });
    await startWriter(place);
    expect((await store.latest(checkpoint.executionId, { consistency: 'latest' }))?.id).toBe(checkpoint.id);
  });

  it('stops between two dead letters when it is told to, and says how far it came', async () => {
    const place = await poisonablePlace();
    await refused(
      place,
      Array.from({ length: 40 }, () => ({})),
    );
    const stop = new AbortController();
    const told: ReplayProgress[] = [];
    const letters = testLetters(place);
    const result = await letters.replay({
      ...ALL,
      signal: stop.signal,
      onProgress: (progress) => {
        told.push(progress);
        if (progress.done === 3) stop.abort();
      },
    });
    expect(told.slice(0, 3)).toEqual(
      [1, 2, 3].map((done) => ({ done, total: 40, replayed: done, skipped: 0 })),
    );
    expect(result.replayed).toBeLessThan(40);
    expect(result).toEqual({ ...NOTHING, replayed: result.replayed, pending: result.replayed });
    expect(await waitingJobs(place)).toHaveLength(result.replayed);
    expect(await letters.count()).toBe(40 - result.replayed);
  });

  it('keeps to the rate', async () => {
    const place = await poisonablePlace();
    await refused(
      place,
      Array.from({ length: 11 }, () => ({})),
    );
    const began = performance.now();
    await testLetters(place).replay({ ...ALL, ratePerSecond: 50, wait: false });
    expect(performance.now() - began).toBeGreaterThan(190);
  });

  it('waits for room in a full queue', async () => {
    const place = await poisonablePlace();
    await refused(place, [{}, {}]);
    await testStore(place).save(newCheckpoint());
    await place.cure();
    const letters = testLetters(place, { maxQueueDepth: 1 });
    // Long enough for both, if there were room.
    expect(await letters.replay({ ...ALL, signal: AbortSignal.timeout(300) })).toEqual(NOTHING);
    const replaying = letters.replay(ALL);
    await startWriter(place);
    expect(await replaying).toEqual({ ...NOTHING, replayed: 2, committed: 2 });
  });

  it('is not confused by a writer that is killed in the middle: the record is replayed by the next one', async () => {
    const place = await poisonablePlace();
    const { checkpoint } = await refusedOne(place);
    await place.cure();
    const letters = testLetters(place);
    const writer = await startWriter(place, { lingerMs: 60_000 });
    const replaying = letters.replay(ALL);
    await expect.poll(() => letters.count()).toBe(0);
    await writer.close({ deadlineMs: 0 });
    await startWriter(place);
    expect(await replaying).toEqual({ ...NOTHING, replayed: 1, committed: 1 });
    expect((await testStore(place).load(checkpoint.id)).id).toBe(checkpoint.id);
  });

  it('of a record for another table is not asked after in this one', async () => {
    const place = await poisonablePlace();
    const letters = testLetters(place);
    await letters.import([forgedLine(place, { target: `${place.schema}.others` })]);
    const writer = await startWriter(place, { table: 'others' });
    expect(await letters.replay(ALL)).toEqual({ ...NOTHING, replayed: 1, unknown: 1 });
    expect(writer.stats.committed).toBe(1);
  });

  it('refuses what may mean all and does not say so', async () => {
    const letters = testLetters(await poisonablePlace());
    const calls: Array<[unknown, string]> = [
      [{}, 'selection'],
      [{ all: true, ids: [] }, 'selection'],
      [{ all: false }, 'all'],
      [{ filter: {} }, 'filter'],
      [{ filter: { executionId: undefined } }, 'filter'],
      [{ filter: { execution: 'x' } }, '"execution"'],
      [{ filter: { executionId: '' } }, 'executionId'],
      [{ ids: ['w-1'] }, 'ids'],
      [{ ids: 'd-1' }, 'ids'],
      [{ everything: true }, '"everything"'],
      [{ all: true, ratePerSecond: 0 }, 'ratePerSecond'],
      [{ all: true, waitTimeoutMs: Number.NaN }, 'waitTimeoutMs'],
    ];
    for (const [options, field] of calls) {
      const replaying = letters.replay(options as never);
      await expect(replaying).rejects.toMatchObject({
        name: 'InvalidFilterError',
        code: 'INVALID_FILTER',
        field,
      });
    }
  });
});
