import { describe, expect, it } from 'vitest';
import { deadLetterKeys, markOf } from '../../src/redis/queue-keys.js';
import { release } from '../../src/redis/sequence.js';
import { OrphanSweep } from '../../src/writer/orphan-sweep.js';
import { newExecution } from '../contract/checkpoints.js';
import { TcpProxy } from '../faults/tcp-proxy.js';
import { type Place, startWriter, testStore } from '../store/place.js';
import { failedJobs } from '../writer/forged-jobs.js';
import { poisonablePlace, refused, refusedOne, testLetters, tracesOf } from './letters.js';
import { clientThat, keyOf, type Step } from './steps.js';

const ALL = { all: true } as const;
const STEPS: Step[] = ['prepare', 'add', 'confirm'];

/** A replay whose process dies when Redis has done the step: nobody hears of it any more. */
async function replayUntil(place: Place, step: Step, deadLetterId: string): Promise<void> {
  const proxy = await TcpProxy.before(place.redis);
  const letters = testLetters(place, { redis: proxy.url, enqueueTimeoutMs: 300 });
  await letters.count();
  const done = proxy.swallowRepliesFrom(keyOf(place, step));
  const replaying = letters.replay({ ids: [deadLetterId], wait: false }).catch((error) => error);
  await done;
  await proxy.refuse();
  expect(await replaying).toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
}

async function isQueued({ client, keys }: Place, jobId: string): Promise<boolean> {
  return (await client.exists(keys.jobPrefix + jobId, keys.payloadPrefix + jobId)) === 2;
}

async function nothingWaits({ client, keys }: Place): Promise<void> {
  await expect.poll(() => client.exists(keys.chunks, keys.marks, keys.waiting, keys.failed)).toBe(0);
}

describe('a replay that breaks off', () => {
  it.each(STEPS)(
    'after %s loses nothing, and the next one brings it to its end',
    { timeout: 40_000 },
    async (step) => {
      const place = await poisonablePlace();
      const { checkpoint, sequence, deadLetterId } = await refusedOne(place);
      await replayUntil(place, step, deadLetterId);
      const letters = testLetters(place);
      const kept = (await letters.get(deadLetterId, { payload: true }))?.payload !== undefined;
      const queued = await isQueued(place, `r-${sequence}-1`);
      expect({ kept, queued }).toEqual({ kept: step !== 'confirm', queued: step !== 'prepare' });

      await place.cure();
      await startWriter(place);
      const { replayed } = await letters.replay(ALL);
      expect(replayed).toBe(kept ? 1 : 0);
      await testStore(place).flush(checkpoint.executionId);
      const { rows } = await place.pool.query(`SELECT id, write_seq FROM ${place.schema}.checkpoints`);
      expect(rows).toEqual([{ id: checkpoint.id, write_seq: String(sequence) }]);
      await nothingWaits(place);
      expect(await tracesOf(place, deadLetterId)).toEqual([]);
    },
  );

  it('before it had a job gets one from a writer; the dead letter stays until a replay has come to its end', async () => {
    const place = await poisonablePlace();
    const { checkpoint, sequence, deadLetterId } = await refusedOne(place);
    await replayUntil(place, 'prepare', deadLetterId);
    for (const keys of [place.keys, deadLetterKeys(place.keys)]) {
      const sweep = new OrphanSweep(place.client, keys);
      await sweep.sweep(0);
      await sweep.sweep(0);
    }
    expect(await place.client.exists(`${place.keys.payloadPrefix}r-${sequence}-1`)).toBe(1);
    await place.cure();
    await startWriter(place);
    await testStore(place)
      .flush(checkpoint.executionId)
      .catch(() => {});
    expect((await testStore(place).load(checkpoint.id)).id).toBe(checkpoint.id);
    expect(await testLetters(place).replay(ALL)).toMatchObject({ replayed: 1, committed: 1 });
  });

  it.each(STEPS)('because its connection does, at %s, goes on over the next one', async (step) => {
    const place = await poisonablePlace();
    const { sequence, deadLetterId } = await refusedOne(place);
    const proxy = await TcpProxy.before(place.redis);
    const letters = testLetters(place, { redis: proxy.url });
    await letters.count();
    const done = proxy.swallowRepliesFrom(keyOf(place, step));
    const replaying = letters.replay({ ids: [deadLetterId], wait: false });
    await done;
    await proxy.refuse();
    await proxy.open();
    expect(await replaying).toMatchObject({ replayed: 1, skipped: 0 });
    expect(await place.client.lrange(place.keys.waiting, 0, -1)).toEqual([`r-${sequence}-1`]);
    expect(await isQueued(place, `r-${sequence}-1`)).toBe(true);
    expect(await letters.count()).toBe(0);
  });
});

describe('a Redis that forgets the end of what it was told', () => {
  type Loss = (place: Place, jobId: string, deadLetterId: string, executionId: string) => Promise<unknown>;
  const destinationOf = ({ schema }: Place) => ({ sink: 'checkpoints', target: `${schema}.checkpoints` });
  const loseJob: Loss = async ({ client, keys }, jobId) => {
    await client.del(keys.jobPrefix + jobId);
    await client.lrem(keys.waiting, 0, jobId);
  };
  const loseChunk: Loss = async (place, jobId, deadLetterId, executionId) => {
    const { client, keys } = place;
    const destination = destinationOf(place);
    await client.del(keys.payloadPrefix + jobId);
    await client.zrem(keys.chunks, jobId);
    await client.zrem(keys.marks, markOf(executionId, jobId, destination));
    await client.hdel(deadLetterKeys(keys).jobPrefix + deadLetterId, 'ckpt-replay');
  };
  it.each<[string, Step, Loss[]]>([
    ['the job', 'confirm', [loseJob]],
    ['the job and the chunk', 'confirm', [loseJob, loseChunk]],
    ['the chunk, before there was a job', 'add', [loseChunk]],
  ])('%s, is told again before the dead letter goes', async (_, step, losses) => {
    const place = await poisonablePlace();
    const { checkpoint, sequence, deadLetterId } = await refusedOne(place);
    const jobId = `r-${sequence}-1`;
    const redis = clientThat(place, step, async () => {
      for (const lose of losses) await lose(place, jobId, deadLetterId, checkpoint.executionId);
    });
    const letters = testLetters(place, { redis });
    expect(await letters.replay({ ids: [deadLetterId], wait: false })).toMatchObject({ replayed: 1 });
    expect(await isQueued(place, jobId)).toBe(true);
    expect(await place.client.lrange(place.keys.waiting, 0, -1)).toEqual([jobId]);
    expect(await place.client.zrange(place.keys.marks, 0, '-1')).toEqual([
      markOf(checkpoint.executionId, jobId, destinationOf(place)),
    ]);
    expect(await letters.count()).toBe(0);
  });
});

describe('a chunk that the clean-up of an earlier job takes before its own job is there', () => {
  it.each([['waits'], ['is put aside by a worker']])(
    'is made again, also where the job %s',
    async (where) => {
      const place = await poisonablePlace();
      const { checkpoint, sequence, deadLetterId } = await refusedOne(place);
      await place.cure();
      const jobId = `r-${sequence}-1`;
      if (where !== 'waits') await startWriter(place);
      const redis = clientThat(place, 'add', () => release(place.client, place.keys, [jobId], []));
      const letters = testLetters(place, { redis });
      expect(await letters.replay({ ids: [deadLetterId], wait: false })).toMatchObject({ replayed: 1 });
      if (where === 'waits') await startWriter(place);
      await testStore(place).flush(checkpoint.executionId);
      expect((await testStore(place).load(checkpoint.id)).id).toBe(checkpoint.id);
      await nothingWaits(place);
    },
  );
});

describe('two replays of the same dead letters at once', () => {
  it('write each record once, and leave nothing', async () => {
    const place = await poisonablePlace();
    const executionId = newExecution();
    await refused(
      place,
      Array.from({ length: 60 }, () => ({ executionId })),
    );
    await place.cure();
    await startWriter(place);
    const results = await Promise.all(
      [testLetters(place), testLetters(place), testLetters(place)].map((letters) => letters.replay(ALL)),
    );
    for (const { replayed, committed, deadAgain, unknown } of results) {
      expect({ committed, deadAgain, unknown }).toEqual({ committed: replayed, deadAgain: 0, unknown: 0 });
    }
    expect(results.reduce((sum, { replayed }) => sum + replayed, 0)).toBe(60);
    expect(await testStore(place).list(executionId)).toHaveLength(60);
    await nothingWaits(place);
    expect(await testLetters(place).count()).toBe(0);
  });

  it.each(['add', 'confirm'] as const)(
    'are harmless where the second one comes to its end before the first has come to %s',
    async (step) => {
      const place = await poisonablePlace();
      const { checkpoint, deadLetterId } = await refusedOne(place);
      await place.cure();
      await startWriter(place);
      const redis = clientThat(place, step, async () => {
        expect(await testLetters(place).replay(ALL)).toMatchObject({ replayed: 1, committed: 1 });
        await nothingWaits(place);
      });
      const first = await testLetters(place, { redis }).replay({ ids: [deadLetterId] });
      expect(first).toMatchObject({ replayed: 0, skipped: 1 });
      expect((await testStore(place).load(checkpoint.id)).id).toBe(checkpoint.id);
      await nothingWaits(place);
      expect(await failedJobs(place)).toEqual(new Map());
    },
  );

  it('bring back nothing that was deleted, though its tombstone expires as soon as the first one is through', async () => {
    const place = await poisonablePlace();
    const { checkpoint, deadLetterId } = await refusedOne(place);
    await testStore(place).clear(checkpoint.executionId);
    await place.cure();
    await startWriter(place);
    const redis = clientThat(place, 'add', async () => {
      expect(await testLetters(place).replay(ALL)).toMatchObject({ deleted: 1 });
      await nothingWaits(place);
      await place.pool.query(`DELETE FROM ${place.schema}.checkpoints_tombstones`);
    });
    await testLetters(place, { redis }).replay({ ids: [deadLetterId] });
    await nothingWaits(place);
    expect(await testStore(place).list(checkpoint.executionId)).toEqual([]);
  });
});

describe('a dead letter that changes while it is replayed', () => {
  it('is a dead letter again where it was refused before the first one is removed', async () => {
    const place = await poisonablePlace();
    const { sequence, deadLetterId } = await refusedOne(place);
    await startWriter(place);
    const looking = testLetters(place);
    const redis = clientThat(place, 'confirm', () =>
      expect.poll(() => looking.get(`d-${sequence}-1`)).toBeDefined(),
    );
    const result = await testLetters(place, { redis }).replay({ ids: [deadLetterId] });
    expect(result).toMatchObject({ replayed: 1, deadAgain: 1 });
    expect((await looking.list()).map((letter) => letter.deadLetterId)).toEqual([`d-${sequence}-1`]);
    expect((await looking.get(`d-${sequence}-1`, { payload: true }))?.payload?.kind).toBe('checkpoint');
  });

  it('is replayed or purged, where both are tried, and never is half of it left', async () => {
    const place = await poisonablePlace();
    const { deadLetterId } = await refusedOne(place);
    await place.cure();
    await startWriter(place);
    const redis = clientThat(place, 'prepare', () => testLetters(place).purge(ALL));
    const result = await testLetters(place, { redis }).replay({ ids: [deadLetterId] });
    expect(result).toMatchObject({ replayed: 0, skipped: 1 });
    await nothingWaits(place);
    expect(await tracesOf(place, deadLetterId)).toEqual([]);
  });
});
