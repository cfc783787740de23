import { Queue } from 'bullmq';
import { describe, expect, it, vi } from 'vitest';
import { PROBE_EXECUTION } from '../../src/doctor/pipeline-probe.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { poisonablePlace, refused } from '../dead-letters/letters.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { failedJobs, forgeJob } from '../writer/forged-jobs.js';
import { diagnosis } from './diagnosis.js';

const HALF_A_DAY_US = 43_200_000_000;

describe('the doctor, on the queue,', () => {
  it('is content where workers run and nothing waits', async () => {
    const place = await testPlace();
    await startWriter(place);
    await reported(place);
    for (const { check, severity } of Object.values(await diagnosis(place))) {
      if (/^(queue|pipeline)/.test(check)) expect({ check, severity }).toEqual({ check, severity: 'ok' });
    }
  });

  it('warns where no worker runs, and makes it an error where saves wait for one', async () => {
    const place = await testPlace();
    const store = testStore(place);
    await store.initSchema();
    expect(await diagnosis(place)).toMatchObject({
      'queue.workers': { severity: 'warning', todo: 'Start one: ckpt worker.' },
      'pipeline.probe': { severity: 'warning', seen: 'left out: no worker would commit it' },
    });
    await store.save(newCheckpoint());
    expect((await diagnosis(place))['queue.workers']).toMatchObject({
      severity: 'error',
      seen: 'none runs, and 1 jobs are not committed',
    });
  });

  it('finds workers that wait for PostgreSQL', async () => {
    const place = await testPlace();
    const store = testStore(place);
    await store.initSchema();
    const writer = await startWriter(place, { postgres: 'postgresql://nobody@127.0.0.1:1/none' });
    await store.save(newCheckpoint());
    await vi.waitFor(() => expect(writer.breaker.state).toBe('open'));
    await vi.waitFor(async () =>
      expect(await place.client.hvals(place.keys.workers)).toEqual([expect.stringContaining('"open"')]),
    );
    expect((await diagnosis(place, {}, 1000))['queue.workers']).toMatchObject({
      severity: 'error',
      seen: '1 of 1 wait for PostgreSQL (transient)',
    });
    await writer.close({ deadlineMs: 0 });
  });

  it('finds a queue that fills up to the depth at which saves are refused', async () => {
    const place = await testPlace();
    const store = testStore(place, { maxChunkRecords: 1 });
    await store.saveBatch([newCheckpoint(), newCheckpoint()]);
    const depthAt = async (maxQueueDepth: number) =>
      (await diagnosis(place, { maxQueueDepth }))['queue.depth'];
    expect(await depthAt(0)).toMatchObject({ severity: 'ok' });
    expect(await depthAt(5)).toMatchObject({ severity: 'ok' });
    expect(await depthAt(4)).toMatchObject({
      severity: 'warning',
      seen: expect.stringMatching(/^2 jobs of at most 4: 2 waiting, /),
    });
    expect(await depthAt(2)).toMatchObject({ severity: 'error' });
  });

  it.each([
    ['a minute', 61_000_000, 'warning'],
    ['half a day', HALF_A_DAY_US, 'error'],
  ])('finds a save that has waited for %s', async (_, ageUs, severity) => {
    const place = await testPlace();
    await testStore(place).save(newCheckpoint());
    const [jobId] = await place.client.zrange(place.keys.chunks, '0', '0');
    await place.client.zincrby(place.keys.chunks, -ageUs, jobId as string);
    const { 'queue.oldest': finding } = await diagnosis(place);
    expect(finding?.severity).toBe(severity);
    const [, seconds] = /is (\d+) s old/.exec(finding?.seen ?? '') ?? [];
    expect(Number(seconds)).toBeGreaterThanOrEqual(ageUs / 1e6);
    expect(Number(seconds)).toBeLessThan(ageUs / 1e6 + 30);
  });

  it('finds jobs that a dead worker holds', async () => {
    const place = await testPlace();
    await testStore(place).save(newCheckpoint());
    const { waiting, active } = place.keys;
    await place.client.lmove(waiting, active, 'LEFT', 'RIGHT');
    const found = await diagnosis(place);
    expect(found['queue.stalled']).toMatchObject({
      severity: 'warning',
      seen: expect.stringMatching(/^1 jobs/),
    });
  });

  it('does not take a job in the hands of a living worker for lost', async () => {
    const place = await testPlace();
    const store = testStore(place);
    await store.initSchema();
    const blocker = await place.pool.connect();
    try {
      await blocker.query(`BEGIN; LOCK TABLE ${place.schema}.checkpoints`);
      await startWriter(place);
      await store.save(newCheckpoint());
      await vi.waitFor(async () => expect(await place.client.llen(place.keys.active)).toBe(1));
      expect((await diagnosis(place, {}, 1000))['queue.stalled']).toMatchObject({ severity: 'ok' });
    } finally {
      await blocker.query('ROLLBACK');
      blocker.release();
    }
  });

  it('finds jobs that nobody can read', async () => {
    const place = await testPlace();
    await startWriter(place);
    await forgeJob(place, { data: { nonsense: true } });
    await vi.waitFor(async () => expect((await failedJobs(place)).size).toBe(1));
    expect((await diagnosis(place))['queue.failed']).toMatchObject({ severity: 'warning' });
  });

  it('finds dead letters', async () => {
    const place = await poisonablePlace();
    await refused(place, [{}, {}]);
    expect((await diagnosis(place))['queue.dead-letters']).toMatchObject({
      severity: 'warning',
      seen: 'PostgreSQL refused 2 saves',
      todo: expect.stringContaining('ckpt dead list'),
    });
  });

  it('finds a queue that somebody has paused', async () => {
    const place = await testPlace();
    const queue = new Queue(place.queue, { connection: place.client, prefix: place.keys.prefix });
    await queue.pause();
    await queue.close();
    expect((await diagnosis(place))['queue.paused']).toMatchObject({ severity: 'error' });
  });
});

describe('the probe of the doctor', () => {
  it('goes the whole way and leaves no row and no mark behind, but one tombstone however often', async () => {
    const place = await testPlace();
    await startWriter(place);
    await reported(place);
    for (const _ of [1, 2]) {
      expect((await diagnosis(place))['pipeline.probe']).toMatchObject({
        severity: 'ok',
        seen: expect.stringMatching(/^acknowledged in \d+ ms, committed and read back in \d+ ms$/),
      });
    }
    const { rows } = await place.pool.query(
      `SELECT (SELECT count(*)::int FROM ${place.schema}.checkpoints) AS rows,
              (SELECT array_agg(key) FROM ${place.schema}.checkpoints_tombstones) AS tombstones`,
    );
    expect(rows).toEqual([{ rows: 0, tombstones: [PROBE_EXECUTION] }]);
    await vi.waitFor(async () => expect(await place.client.zcard(place.keys.marks)).toBe(0));
  });

  it('passes for each of several doctors at once', async () => {
    const place = await testPlace();
    await startWriter(place);
    await reported(place);
    const found = await Promise.all([1, 2, 3, 4].map(() => diagnosis(place)));
    expect(found.map((findings) => findings['pipeline.probe']?.severity)).toEqual(['ok', 'ok', 'ok', 'ok']);
  });

  it('says so where nothing is committed in time, and what it saved never shows afterwards', async () => {
    const place = await testPlace();
    const writer = await startWriter(place);
    await reported(place);
    const blocker = await place.pool.connect();
    await blocker.query(`BEGIN; LOCK TABLE ${place.schema}.checkpoints IN SHARE MODE`);
    const found = await diagnosis(place, {}, 500);
    await blocker.query('ROLLBACK');
    blocker.release();
    expect(found['pipeline.probe']).toMatchObject({
      severity: 'error',
      seen: 'not committed within 500 ms',
    });
    await vi.waitFor(() => expect(writer.stats.deleted).toBe(1));
    const { rows } = await place.pool.query(`SELECT id FROM ${place.schema}.checkpoints`);
    expect(rows).toEqual([]);
  });

  it('says so where PostgreSQL refuses what it saves, and leaves no dead letter behind', async () => {
    const place = await testPlace();
    await startWriter(place);
    await reported(place);
    await place.pool.query(
      `ALTER TABLE ${place.schema}.checkpoints ADD CONSTRAINT nothing CHECK (version > 1)`,
    );
    expect((await diagnosis(place))['pipeline.probe']).toMatchObject({
      severity: 'error',
      seen: 'PostgreSQL refuses it: PostgreSQL error 23514: check violation (constraint nothing, table checkpoints)',
    });
    expect((await diagnosis(place))['queue.dead-letters']).toMatchObject({ severity: 'ok' });
  });

  it('says so where a trigger changes what is stored', async () => {
    const place = await testPlace();
    await startWriter(place);
    await reported(place);
    await place.pool.query(`
      CREATE FUNCTION ${place.schema}.meddle() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN NEW.state := '"meddled"'; RETURN NEW; END $$;
      CREATE TRIGGER meddle BEFORE INSERT ON ${place.schema}.checkpoints
        FOR EACH ROW EXECUTE FUNCTION ${place.schema}.meddle()`);
    expect((await diagnosis(place))['pipeline.probe']).toMatchObject({
      severity: 'error',
      seen: 'what was read back is not what was saved',
    });
  });
});

/** Resolves when the workers have told Redis that they run. */
async function reported({ client, keys }: Place): Promise<void> {
  await vi.waitFor(async () => expect(await client.hlen(keys.workers)).toBeGreaterThan(0));
}
