import { describe, expect, it, vi } from 'vitest';
import { Database } from '../../src/postgres/database.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { poisonablePlace, refused, testLetters } from '../dead-letters/letters.js';
import { ownRedis } from '../faults/services.js';
import { openPlace, startWriter, testPlace, testStore, testWriter } from '../store/place.js';
import { metricsOf, serve } from './serving.js';

describe('/metrics', () => {
  it('counts what became of the records, and what is kept', async () => {
    const place = await poisonablePlace();
    const store = testStore(place);
    const [superseded, deleted] = [newCheckpoint({ version: 1 }), newCheckpoint()];
    await store.save({ ...superseded, version: 2 });
    await store.save(superseded);
    await store.save(deleted);
    await store.delete(deleted.id as string);
    await store.saveBatch([newCheckpoint(), newCheckpoint(), newCheckpoint({ state: { poison: 1 } })]);
    const writer = testWriter(place);
    const http = await serve(writer, place);
    await writer.start();
    await store.flush().catch(() => {});

    await vi.waitFor(async () => expect(writer.stats.deadLettered).toBe(1));
    const metrics = await metricsOf(http);
    const counted = Object.fromEntries(
      ['committed', 'superseded', 'deleted', 'dead_lettered'].map((outcome) => [
        outcome,
        metrics.get(`ckpt_records_total{outcome="${outcome}"}`),
      ]),
    );
    expect(counted).toEqual({ committed: 3, superseded: 1, deleted: 1, dead_lettered: 1 });
    expect(metrics.get('ckpt_queue_dead_letters')).toBe(1);
    expect(metrics.get('ckpt_save_to_commit_seconds_count')).toBe(5);
    expect(metrics.get('ckpt_batch_records_sum')).toBe(5);
    expect(metrics.get('ckpt_batch_records_count')).toBe(writer.stats.batches);
    expect(metrics.get('ckpt_batch_bytes_sum')).toBe(writer.stats.bytes);
    expect(metrics.get('ckpt_batch_duration_seconds_count')).toBe(writer.stats.batches);
    expect(metrics.get('ckpt_breaker_open')).toBe(0);
    expect(metrics.get('ckpt_redis_up')).toBe(1);
    expect(metrics.get('ckpt_pool_connections{state="max"}')).toBe(3);
    expect(metrics.get('process_resident_memory_bytes')).toBeGreaterThan(1e6);
  });

  it('tells how many jobs wait and how old the oldest is, and nothing of them once they are committed', async () => {
    const place = await testPlace();
    const store = testStore(place, { maxChunkRecords: 1 });
    await store.initSchema();
    await store.saveBatch([newCheckpoint(), newCheckpoint()]);
    await ageBySeconds(100);
    const writer = testWriter(place);
    const http = await serve(writer, place);

    const before = await metricsOf(http);
    expect(before.get('ckpt_queue_jobs{state="waiting"}')).toBe(2);
    expect(before.get('ckpt_queue_oldest_age_seconds')).toBeGreaterThanOrEqual(100);
    expect(before.get('ckpt_queue_oldest_age_seconds')).toBeLessThan(130);

    await writer.start();
    await store.flush();
    await vi.waitFor(
      async () => {
        const after = await metricsOf(http);
        expect(after.get('ckpt_queue_jobs{state="waiting"}')).toBe(0);
        expect(after.get('ckpt_queue_oldest_age_seconds')).toBe(0);
        expect(after.get('ckpt_queue_workers')).toBe(1);
      },
      { timeout: 10_000 },
    );

    async function ageBySeconds(seconds: number): Promise<void> {
      const [oldest] = await place.client.zrange(place.keys.chunks, '0', '0');
      await place.client.zincrby(place.keys.chunks, -seconds * 1e6, oldest as string);
    }
  });

  it('measures the time from save to commit by the clock that numbered the saves', async () => {
    const place = await testPlace();
    const store = testStore(place);
    await store.initSchema();
    const began = performance.now();
    await store.save(newCheckpoint());
    const writer = testWriter(place);
    const http = await serve(writer, place);
    await writer.start();
    await store.flush();
    const elapsed = (performance.now() - began) / 1000;

    const metrics = await metricsOf(http);
    expect(metrics.get('ckpt_save_to_commit_seconds_count')).toBe(1);
    expect(metrics.get('ckpt_save_to_commit_seconds_sum')).toBeGreaterThan(0);
    expect(metrics.get('ckpt_save_to_commit_seconds_sum')).toBeLessThanOrEqual(elapsed);
  });

  it('leaves replayed dead letters, whose save was long ago, out of that time', async () => {
    const place = await poisonablePlace();
    await refused(place);
    await place.cure();
    const writer = await startWriter(place);
    const http = await serve(writer, place);
    expect((await testLetters(place).replay({ all: true })).committed).toBe(1);
    await testStore(place).save(newCheckpoint(), { ack: 'committed' });
    const metrics = await metricsOf(http);
    expect(metrics.get('ckpt_records_total{outcome="committed"}')).toBe(2);
    expect(metrics.get('ckpt_save_to_commit_seconds_count')).toBe(1);
  });

  it('counts what is tried again by SQLSTATE, and shows the open breaker', async () => {
    const place = await testPlace();
    const store = testStore(place);
    await store.initSchema();
    const writer = testWriter(place);
    const http = await serve(writer, place);
    await writer.start();
    // For every statement: what refuses a record alone opens no breaker.
    await place.pool.query(`
      CREATE FUNCTION ${place.schema}.full() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'no room for canary-7' USING ERRCODE = '53100'; END $$;
      CREATE TRIGGER full_disk BEFORE INSERT ON ${place.schema}.checkpoints
        FOR EACH STATEMENT EXECUTE FUNCTION ${place.schema}.full()`);
    await store.save(newCheckpoint());
    await vi.waitFor(async () => {
      const metrics = await metricsOf(http);
      expect(metrics.get('ckpt_retries_total{sqlstate="53100"}')).toBeGreaterThanOrEqual(1);
      expect(metrics.get('ckpt_breaker_open')).toBe(1);
    });
    await place.pool.query(`DROP TRIGGER full_disk ON ${place.schema}.checkpoints`);
    await store.flush();
    expect((await metricsOf(http)).get('ckpt_breaker_open')).toBe(0);
  });

  it('counts tries without a connection, and makes no end of series of codes that a trigger invents', async () => {
    const place = await testPlace();
    const writer = testWriter(place);
    const http = await serve(writer, place);
    writer.emit('retry', { failure: 'transient' });
    for (let n = 0; n < 200; n++) {
      writer.emit('retry', { failure: 'unknown', sqlState: `X${String(n).padStart(4, '0')}` });
    }
    const metrics = await metricsOf(http);
    expect(metrics.get('ckpt_retries_total{sqlstate="none"}')).toBe(1);
    expect(metrics.get('ckpt_retries_total{sqlstate="other"}')).toBe(151);
    expect([...metrics.keys()].filter((name) => name.startsWith('ckpt_retries_total'))).toHaveLength(51);
  });

  it('holds no id, execution, state or metadata', async () => {
    const place = await poisonablePlace();
    const store = testStore(place);
    const writer = testWriter(place);
    const http = await serve(writer, place);
    await writer.start();
    const canary = 'canary-4711';
    const fields = { executionId: canary, nodeName: canary, metadata: { canary } };
    await store.saveBatch([
      newCheckpoint({ id: `${canary}-1`, state: { canary }, ...fields }),
      newCheckpoint({ id: `${canary}-2`, state: { poison: canary }, ...fields }),
    ]);
    await store.flush().catch(() => {});
    await vi.waitFor(() => expect(writer.stats.deadLettered).toBe(1));
    const text = await (await fetch(`${http.url}/metrics`)).text();
    expect(text).toContain('ckpt_records_total');
    expect(text).not.toContain(canary);
  });

  it('keeps the metrics of two writers of one process apart', async () => {
    const [first, second] = [await testPlace(), await testPlace()];
    const [one, other] = [testWriter(first), testWriter(second)];
    const [ofOne, ofOther] = [await serve(one, first), await serve(other, second)];
    await one.start();
    await testStore(first).save(newCheckpoint(), { ack: 'committed' });
    const committed = 'ckpt_records_total{outcome="committed"}';
    expect((await metricsOf(ofOne)).get(committed)).toBe(1);
    expect((await metricsOf(ofOther)).get(committed)).toBe(0);
    const text = await (await fetch(`${ofOne.url}/metrics`)).text();
    expect(text).toContain(`queue="${first.queue}"`);
    expect(text).not.toContain(second.queue);
  });
});

describe('/metrics without Redis', () => {
  const redis = ownRedis();

  it('answers all the same, without samples of the queue', async () => {
    const place = await openPlace({ redis: redis().url });
    const writer = await startWriter(place);
    const http = await serve(writer, place);
    expect((await metricsOf(http)).has('ckpt_queue_oldest_age_seconds')).toBe(true);
    await redis().kill('SIGKILL');
    await vi.waitFor(
      async () => {
        const metrics = await metricsOf(http);
        expect(metrics.get('ckpt_redis_up')).toBe(0);
        expect([...metrics.keys()].filter((name) => name.startsWith('ckpt_queue'))).toEqual([]);
        expect(metrics.get('ckpt_breaker_open')).toBe(0);
      },
      { timeout: 15_000 },
    );
    await redis().restart();
    await place.remove();
  });
});

it('a pool tells its connections, and one of the application that does not tell has none to tell of', async () => {
  const place = await testPlace();
  const database = new Database(place.pool);
  await database.withClient(async () => {
    expect(database.use).toMatchObject({ max: 10, idle: 0, waiting: 0 });
    expect(database.use?.open).toBeGreaterThanOrEqual(1);
  });
  expect(new Database({ connect: () => place.pool.connect(), end: async () => {} }).use).toBeUndefined();
});
