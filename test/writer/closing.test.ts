import { Queue } from 'bullmq';
import pg from 'pg';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { CheckpointWriterOptions } from '../../src/index.js';
import { silentLogger } from '../../src/logger.js';
import { freePort } from '../../src/services/free-port.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { TcpProxy } from '../faults/tcp-proxy.js';
import { testRole } from '../postgres/test-database.js';
import { type Place, startWriter, testPlace, testStore, testWriter } from '../store/place.js';

function queueOf(place: Place): Queue {
  const queue = new Queue(place.queue, { connection: place.client });
  onTestFinished(() => queue.close());
  return queue;
}

/** Resolves when the writer has as many jobs in hand. */
async function inHand(queue: Queue, jobs: number): Promise<void> {
  await vi.waitFor(async () => expect(await queue.getActiveCount()).toBe(jobs));
}

describe('CheckpointWriter.close', () => {
  it('commits what is in hand, however long it would have lingered', async () => {
    const place = await testPlace();
    const store = testStore(place);
    const writer = await startWriter(place, { lingerMs: 60_000 });
    const receipts = [await store.save(newCheckpoint()), await store.save(newCheckpoint())];
    await inHand(queueOf(place), 2);
    expect(writer.stats.records).toBe(0);
    await writer.close();
    expect(writer.stats).toMatchObject({ records: 2, committed: 2 });
    expect(await Promise.all(receipts.map((receipt) => receipt.committed()))).toEqual([
      'committed',
      'committed',
    ]);
  });

  it('leaves what it has not taken to the next writer', async () => {
    const place = await testPlace();
    const store = testStore(place, { maxChunkRecords: 1 });
    await store.saveBatch(Array.from({ length: 30 }, () => newCheckpoint()));
    const first = await startWriter(place, { concurrency: 2 });
    await first.close();
    const second = await startWriter(place);
    await store.flush();
    expect(first.stats.records + second.stats.records).toBe(30);
  });

  it('may be called many times, before and after start', async () => {
    const place = await testPlace();
    const unused = testWriter(place);
    await Promise.all([unused.close(), unused.close()]);
    await expect(unused.start()).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
    const used = await startWriter(place);
    await Promise.all([used.close(), used.close({ deadlineMs: 0 })]);
    await used.close();
  });

  it('ends a start that is under way', async () => {
    const writer = testWriter(await testPlace());
    const starting = writer.start();
    await writer.close();
    await starting;
  });

  it('puts jobs back at its deadline where PostgreSQL cannot be reached', async () => {
    const place = await testPlace();
    const pool = new pg.Pool({ host: '127.0.0.1', port: await freePort() });
    onTestFinished(() => pool.end());
    const store = testStore(place, { maxChunkRecords: 1 });
    const receipts = await store.saveBatch([newCheckpoint(), newCheckpoint(), newCheckpoint()]);
    const writer = await startWriter(place, { postgres: pool });
    const queue = queueOf(place);
    await inHand(queue, 3);
    await writer.close({ deadlineMs: 100 });
    const jobIds = receipts.map(({ sequence }) => `w-${sequence}`);
    expect((await place.client.lrange(place.keys.waiting, 0, -1)).sort()).toEqual(jobIds.sort());
    expect(await queue.getJobCounts('active', 'failed', 'delayed')).toEqual({
      active: 0,
      failed: 0,
      delayed: 0,
    });

    await startWriter(place);
    for (const receipt of receipts) expect(await receipt.committed()).toBe('committed');
  });

  it('ends where Redis has gone away', async () => {
    const place = await testPlace();
    const proxy = await TcpProxy.before(place.redis);
    const writer = await startWriter(place, { redis: proxy.url });
    await testStore(place).save(newCheckpoint(), { ack: 'committed' });
    await proxy.refuse();
    await writer.close({ deadlineMs: 200 });
  });
});

describe('CheckpointWriter.close without Redis', () => {
  /** A writer whose Redis goes away, and what it logs as a warning from then on. */
  async function cutOff(options: Partial<CheckpointWriterOptions> = {}) {
    const place = await testPlace();
    const proxy = await TcpProxy.before(place.redis);
    const warnings: object[] = [];
    const logger = {
      ...silentLogger,
      warn: (fields: object, message: string) => void warnings.push({ ...fields, message }),
    };
    const writer = await startWriter(place, { redis: proxy.url, logger, ...options });
    const cut = async () => {
      await proxy.refuse();
      warnings.length = 0;
    };
    return { place, writer, cut, warnings };
  }
  const message = (text: string) => expect.objectContaining({ message: expect.stringContaining(text) });

  it('does not wait for its deadline with no job in hand, and does not speak of any', async () => {
    const { writer, cut, warnings } = await cutOff();
    await cut();
    // It ends with the test's time-out if it waits for the deadline.
    await writer.close({ deadlineMs: 3_600_000 });
    expect(warnings).toContainEqual(message('no job was in hand'));
    expect(warnings).not.toContainEqual(message('jobs in hand'));
  });

  it('has not connected yet: ends at once as well', async () => {
    const place = await testPlace();
    const writer = testWriter(place, { redis: `redis://127.0.0.1:${await freePort()}` });
    await writer.start();
    await writer.close({ deadlineMs: 3_600_000 });
  });

  it('tells how many jobs were in hand at the deadline', async () => {
    const { place, writer, cut, warnings } = await cutOff({
      postgres: 'postgresql://nobody@127.0.0.1:1/none',
    });
    await testStore(place).save(newCheckpoint());
    await inHand(queueOf(place), 1);
    await cut();
    await writer.close({ deadlineMs: 100 });
    expect(warnings).toContainEqual(expect.objectContaining({ jobs: 1 }));
  });
});

describe('CheckpointWriter.start', () => {
  it('begins where PostgreSQL is not ready, and commits when it is', async () => {
    const place = await testPlace();
    let reachable = false;
    const working = new pg.Pool({ connectionString: place.postgres });
    const closed = new pg.Pool({ host: '127.0.0.1', port: await freePort() });
    onTestFinished(async () => {
      await Promise.all([working.end(), closed.end()]);
    });
    const connects = vi.fn(() => (reachable ? working : closed).connect());
    const postgres = { connect: connects, end: async () => {} };
    const receipt = await testStore(place).save(newCheckpoint());
    const writer = await startWriter(place, { postgres });
    await inHand(queueOf(place), 1);
    reachable = true;
    expect(await receipt.committed()).toBe('committed');
    expect(connects.mock.calls.length).toBeGreaterThan(2);
    expect(writer.stats.committed).toBe(1);
  });

  it('tells at error level, in the words of PostgreSQL, that the login is refused', async () => {
    const place = await testPlace();
    const url = new URL((await testRole(place.postgres)).url);
    url.password = 'wrong';
    const errors: object[] = [];
    const logger = {
      ...silentLogger,
      error: (fields: object, message: string) => void errors.push({ ...fields, message }),
    };
    await startWriter(place, { postgres: url.toString(), logger });
    expect(errors).toContainEqual({
      sqlState: '28P01',
      reason: expect.stringContaining('password authentication failed'),
      message: 'PostgreSQL refuses the login',
    });
  });
});
