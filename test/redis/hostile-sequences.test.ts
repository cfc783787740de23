import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { highestSequence, nextSequence, raiseSequence, reserve } from '../../src/redis/sequence.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { testLetters } from '../dead-letters/letters.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { failedJobs, forgeJob } from '../writer/forged-jobs.js';

const OUT_OF_RANGE = { code: 'SEQUENCE_OUT_OF_RANGE', refused: true };
const DAY_US = 24 * 3600 * 1e6;
const payload = Buffer.from([1]);
const reservation = { records: 3, payload, executions: ['e'], maxQueueDepth: 0 };

/** What people, damaged files and other programs leave where a sequence is expected. */
const hostileNumber = fc.oneof(
  fc.constantFrom(
    '9007199254740991',
    '9007199254740992',
    '9223372036854775807',
    '18446744073709551616',
    '1e400',
    'nan',
    '-nan',
    'inf',
    '-1',
    '0.5',
    'garbage',
    '',
    ' ',
    '0x20000000000000',
  ),
  fc.bigInt({ min: 2n ** 53n - 1_000_000n, max: 2n ** 70n }).map(String),
  fc.integer({ min: 2, max: 200_000 }).map((days) => String(Date.now() * 1000 + days * DAY_US)),
);

async function handedOut(place: Place): Promise<number[]> {
  const numbers: number[] = [];
  for (const draw of [
    () => nextSequence(place.client, place.keys),
    async () => {
      const reserved = await reserve(place.client, place.keys, reservation);
      return reserved.kind === 'reserved' ? reserved.firstSequence : Number.NaN;
    },
  ]) {
    try {
      numbers.push(await draw());
    } catch (error) {
      expect(error).toMatchObject(OUT_OF_RANGE);
    }
  }
  return numbers;
}

describe('a number that is no sequence', () => {
  it('as the last sequence in Redis is refused: nothing is numbered and nothing is left behind', async () => {
    const place = await testPlace();
    const property = fc.asyncProperty(hostileNumber, async (hostile) => {
      await place.client.set(place.keys.sequence, hostile);
      for (const number of await handedOut(place)) {
        expect(Number.isSafeInteger(number + 2)).toBe(true);
        expect(number).toBeLessThanOrEqual(highestSequence(Date.now() * 1000));
        // Accepted alone where it is older than the clock.
        expect(Number(hostile)).toBeLessThan(number);
      }
      await place.client.del(place.keys.sequence, place.keys.chunks, place.keys.marks);
      const left = await place.client.keys(`${place.keys.payloadPrefix}arrived-*`);
      expect(left).toEqual([]);
    });
    await fc.assert(property, { numRuns: 100 });
  });

  it('as the last sequence in Redis may be of another type', async () => {
    const place = await testPlace();
    await place.client.rpush(place.keys.sequence, '1');
    expect(await handedOut(place)).toEqual([]);
    await expect(raiseSequence(place.client, place.keys, Date.now() * 1000)).rejects.toMatchObject(
      OUT_OF_RANGE,
    );
  });

  it('raises nothing', async () => {
    const place = await testPlace();
    const last = await nextSequence(place.client, place.keys);
    const property = fc.asyncProperty(hostileNumber, async (hostile) => {
      const raised = raiseSequence(place.client, place.keys, Number(hostile));
      const old = Number.isInteger(Number(hostile)) && Number(hostile) >= 0 && Number(hostile) < last;
      if (old) await raised;
      else await expect(raised).rejects.toMatchObject(OUT_OF_RANGE);
      expect(await place.client.get(place.keys.sequence)).toBe(String(last));
    });
    await fc.assert(property, { numRuns: 50 });
  });

  it('seen by a producer does not stop it', async () => {
    const place = await testPlace();
    const property = fc.asyncProperty(hostileNumber, async (hostile) => {
      const number = await nextSequence(place.client, place.keys, Number(hostile));
      expect(number).toBeLessThanOrEqual(highestSequence(Date.now() * 1000));
    });
    await fc.assert(property, { numRuns: 50 });
  });
});

describe('a payload', () => {
  it('of another job is never replaced', async () => {
    const place = await testPlace();
    const first = await reserve(place.client, place.keys, reservation);
    if (first.kind !== 'reserved') throw new Error(first.kind);
    const job = { jobId: `w-${first.firstSequence}`, firstSequence: first.firstSequence };
    const other = { ...reservation, payload: Buffer.from([2]) };
    expect(await reserve(place.client, place.keys, other, job)).toEqual({ kind: 'taken' });
    expect(await place.client.getBuffer(place.keys.payloadPrefix + job.jobId)).toEqual(payload);
    expect(await place.client.keys(`${place.keys.payloadPrefix}arrived-*`)).toEqual([]);
    expect(await reserve(place.client, place.keys, reservation, job)).toMatchObject({ kind: 'reserved' });
  });
});

describe('saves after a hostile sequence came in', () => {
  async function expectSavesCommitted(place: Place): Promise<void> {
    const store = testStore(place);
    const receipts = await Promise.all(Array.from({ length: 50 }, () => store.save(newCheckpoint())));
    const outcomes = await Promise.all(receipts.map((receipt) => receipt.committed()));
    expect(new Set(outcomes)).toEqual(new Set(['committed']));
    expect(new Set(receipts.map(({ sequence }) => sequence)).size).toBe(50);
  }

  it('by an imported dead letter: the line is refused, and all saves commit', async () => {
    const place = await testPlace();
    await startWriter(place);
    const line = (sequence: number) => ({
      deadLetterId: `d-${sequence}`,
      id: 'a',
      executionId: 'e',
      sequence,
      sqlState: '23514',
      reason: 'check violation',
      replays: 0,
      jobId: `w-${sequence}`,
      worker: 'host:1',
      sink: 'checkpoints',
      target: `${place.schema}.checkpoints`,
      firstFailedAt: '2026-11-30T23:53:34.680Z',
      lastFailedAt: '2026-11-30T23:53:34.680Z',
      checkpoint: {
        nodeName: 'n',
        state: {},
        metadata: null,
        timestamp: '2026-11-30T23:53:34.642Z',
        version: 1,
      },
    });
    const letters = testLetters(place);
    for (const sequence of [Number.MAX_SAFE_INTEGER, Date.now() * 1000 + 2 * DAY_US]) {
      await expect(letters.import([line(sequence)])).rejects.toMatchObject({ field: 'sequence', line: 1 });
    }
    await testStore(place).clear('e');
    await expectSavesCommitted(place);
  });

  it('by a stored row: a delete of it is refused before it raises anything, and all saves commit', async () => {
    const place = await testPlace();
    await startWriter(place);
    const store = testStore(place);
    const { id, executionId } = newCheckpoint();
    const receipt = await store.save(newCheckpoint({ id, executionId }));
    await receipt.committed();
    for (const sequence of ['9007199254740991', '9223372036854775807']) {
      await place.pool.query(`UPDATE ${place.schema}.checkpoints SET write_seq = ${sequence} WHERE id = $1`, [
        id,
      ]);
      await place.pool
        .query(`UPDATE ${place.schema}.checkpoints_ids SET write_seq = ${sequence} WHERE id = $1`, [id])
        .catch(() => {}); // only a partitioned table has one
      await expect(store.clear(executionId as string)).rejects.toMatchObject(OUT_OF_RANGE);
      await expect(store.delete(id)).rejects.toMatchObject(OUT_OF_RANGE);
      const { rows } = await place.pool.query(
        `SELECT count(*)::int AS count FROM ${place.schema}.checkpoints_tombstones`,
      );
      expect(rows[0].count).toBe(0);
      await expectSavesCommitted(place);
    }
  });

  it('by the name of a job: the job is set aside with its payload, and all saves commit', async () => {
    const place = await testPlace();
    await startWriter(place);
    await expectSavesCommitted(place);
    const sequence = Date.now() * 1000 + 400 * DAY_US;
    const { client, keys } = place;
    const empty = Buffer.from([1, 0, 0, 0, 0, 0, 0]);
    const jobId = await forgeJob(place, { jobId: `w-${sequence}`, payload: empty });
    await expect
      .poll(async () => (await failedJobs(place)).get(jobId), { timeout: 20_000 })
      .toContain('ckpt repair');
    expect(await client.exists(keys.payloadPrefix + jobId)).toBe(1);
    await expectSavesCommitted(place);
  });
});
