import { ERROR, INTERRUPT, RESUME } from '@langchain/langgraph-checkpoint';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DatabaseError, QueueUnavailableError } from '../../src/index.js';
import { freePort } from '../../src/services/free-port.js';
import { ownRedis } from '../faults/services.js';
import { testPlace } from '../store/place.js';
import { startGraphWriter } from './graph-writer.js';
import { graphsOn } from './graphs.js';
import { testSaver, tuplesOf } from './place.js';
import { checkpointOf } from './rich-thread.js';
import { onThread } from './scenarios.js';

const redis = ownRedis({ appendfsync: 'always' });

const METADATA = { source: 'loop', step: 0, parents: {} } as const;
const AWAY = { enqueueTimeoutMs: 500, readTimeoutMs: 500 };
const COMMITTED = { ...AWAY, consistency: 'committed' } as const;

describe('while Redis is away', () => {
  it('put and putWrites are written straight to PostgreSQL and read back', async () => {
    const place = await testPlace({ redis: redis().url });
    const saver = testSaver(place, COMMITTED);
    await redis().kill('SIGKILL');
    const config = onThread('away');
    const put = await saver.put(config, checkpointOf(0, { a: 'value' }, { a: 1 }), METADATA, { a: 1 });
    await saver.putWrites(put, [['a', 'written']], 'task', 'path');
    expect(await saver.getTuple(config)).toMatchObject({
      checkpoint: { channel_values: { a: 'value' } },
      pendingWrites: [['task', 'a', 'written']],
    });
  });

  it('each of several puts that fail together is told its own refusal by PostgreSQL', async () => {
    const place = await testPlace({ redis: redis().url });
    const saver = testSaver(place, COMMITTED);
    await saver.setup();
    await place.pool.query(`
      ALTER TABLE ${place.schema}.checkpoint_blobs ADD CHECK (channel <> 'poison');
      CREATE UNIQUE INDEX ON ${place.schema}.checkpoint_blobs ((channel)) WHERE channel = 'single';
      INSERT INTO ${place.schema}.checkpoint_blobs VALUES ('other', '', 'single', '1', 'json', '1')`);
    await redis().kill('SIGKILL');
    const channels = ['poison', 'fine', 'single'];
    const puts = channels.map((channel) =>
      saver.put(onThread(channel), checkpointOf(0, { [channel]: 1 }, { [channel]: 1 }), METADATA, {
        [channel]: 1,
      }),
    );
    const [poison, fine, single] = await Promise.allSettled(puts);
    expect(fine?.status).toBe('fulfilled');
    const refused = (sqlState: string) => ({
      status: 'rejected',
      reason: { name: 'QueueUnavailableError', cause: { name: 'DatabaseError', sqlState } },
    });
    expect([poison, single]).toMatchObject([refused('23514'), refused('23505')]);
  });

  it('what is too large for Redis is written as well', async () => {
    const place = await testPlace({ redis: redis().url });
    const saver = testSaver(place, COMMITTED);
    await redis().kill('SIGKILL');
    const config = onThread('large');
    const value = 'x'.repeat(2 * 1024 * 1024);
    await saver.put(config, checkpointOf(0, { a: value }, { a: 1 }), METADATA, { a: 1 });
    expect((await saver.getTuple(config))?.checkpoint.channel_values).toEqual({ a: value });
  });

  it('a graph runs on, from what was queued before, and all of it is there afterwards', async () => {
    const place = await testPlace({ redis: redis().url });
    const saver = testSaver(place, COMMITTED);
    const graph = graphsOn(saver).talk;
    const config = onThread('graph');
    await graph.invoke({ turn: 1 }, config);
    const writer = await startGraphWriter(place);
    await saver.flush();
    await writer.close();
    await redis().kill('SIGKILL');
    expect(await graph.invoke({ turn: 2 }, config)).toMatchObject({ turn: 20, log: { length: 4 } });
    expect(await tuplesOf(saver, 'graph')).toHaveLength(8);
    await redis().restart();
    // And from what was written past the queue.
    await startGraphWriter(place);
    const latest = testSaver(place);
    expect(await graphsOn(latest).talk.invoke({ turn: 3 }, config)).toMatchObject({ log: { length: 6 } });
    expect(await tuplesOf(latest, 'graph')).toHaveLength(12);
  });

  it('marks of a task that replace one another keep the order of the calls', async () => {
    const place = await testPlace({ redis: redis().url });
    const saver = testSaver(place, COMMITTED);
    await redis().kill('SIGKILL');
    const put = await saver.put(onThread('marks'), checkpointOf(0, {}, {}), METADATA, {});
    for (let round = 1; round <= 5; round++) {
      const calls = Array.from({ length: 20 }, (_, index) => [
        saver.putWrites(put, [[INTERRUPT, `${round}.${index}`]], 'task'),
        saver.putWrites(put, [[RESUME, [round, index]]], 'task'),
        saver.putWrites(put, [['a', `${round}.${index}`]], 'task'),
      ]);
      await Promise.all(calls.flat());
      const { pendingWrites = [] } = (await saver.getTuple(onThread('marks'))) ?? {};
      // The last one of the marks, and of ordinary writes the first one of all.
      expect([...pendingWrites].sort()).toEqual([
        ['task', INTERRUPT, `${round}.19`],
        ['task', RESUME, [round, 19]],
        ['task', 'a', '1.0'],
      ]);
    }
  });

  it('what is put comes after what was queued before, and before what is queued afterwards', async () => {
    const place = await testPlace({ redis: redis().url });
    const saver = testSaver(place, AWAY);
    const checkpoint = checkpointOf(0, {}, {});
    const put = (step: number) => saver.put(onThread('order'), checkpoint, { ...METADATA, step }, {});
    const config = await put(1);
    await saver.putWrites(config, [[ERROR, 'queued']], 'task');
    await redis().kill('SIGKILL');
    await put(2);
    await saver.putWrites(config, [[ERROR, 'past the queue']], 'task');
    await redis().restart();
    const writer = await startGraphWriter(place);
    await expect
      .poll(() =>
        saver.flush('order').then(
          () => 'drained',
          () => 'away',
        ),
      )
      .toBe('drained');
    expect(await saver.getTuple(config)).toMatchObject({
      metadata: { step: 2 },
      pendingWrites: [['task', ERROR, 'past the queue']],
    });
    await put(3);
    expect((await saver.getTuple(config))?.metadata).toMatchObject({ step: 3 });
    await writer.close();
  });

  it('reads of the latest and deletes throw, and say why', async () => {
    const place = await testPlace({ redis: redis().url });
    const saver = testSaver(place, AWAY);
    await saver.put(onThread('t'), checkpointOf(0, {}, {}), METADATA, {});
    await redis().kill('SIGKILL');
    await expect(saver.getTuple(onThread('t'))).rejects.toBeInstanceOf(QueueUnavailableError);
    await expect(saver.deleteThread('t')).rejects.toBeInstanceOf(QueueUnavailableError);
    await expect(saver.copyThread('t', 'copy')).rejects.toBeInstanceOf(QueueUnavailableError);
  });
});

describe('while PostgreSQL is away as well', () => {
  it('put and putWrites reject with the failure of Redis, its cause that of PostgreSQL, and nobody else is told', async () => {
    const place = await testPlace();
    const nowhere = await freePort();
    const unhandled: unknown[] = [];
    const listener = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', listener);
    onTestFinished(() => {
      process.off('unhandledRejection', listener);
    });
    const saver = testSaver(place, {
      ...AWAY,
      redis: `redis://127.0.0.1:${nowhere}`,
      postgres: `postgresql://nobody@127.0.0.1:${nowhere}/nothing`,
    });
    const at = onThread('t', { checkpoint_id: 'c' });
    const calls = Array.from({ length: 10 }, () => [
      saver.put(onThread('t'), checkpointOf(0, { a: 1 }, { a: 1 }), METADATA, { a: 1 }),
      saver.putWrites(at, [['a', 1]], 'task'),
    ]).flat();
    for (const call of await Promise.allSettled(calls)) {
      const error = call.status === 'rejected' ? call.reason : undefined;
      expect(error).toBeInstanceOf(QueueUnavailableError);
      expect(error.cause).toBeInstanceOf(DatabaseError);
    }
    // A graph tells its caller, too.
    await expect(graphsOn(saver).talk.invoke({ turn: 1 }, onThread('t'))).rejects.toMatchObject({
      code: 'QUEUE_UNAVAILABLE',
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
  });
});

describe('at the limit of the queue', () => {
  it('what Redis does not take is written straight to PostgreSQL', async () => {
    const place = await testPlace();
    const saver = testSaver(place, { maxQueueDepth: 1, consistency: 'committed' });
    for (const step of [0, 1, 2]) {
      await saver.put(onThread('full'), checkpointOf(step, {}, {}), { ...METADATA, step }, {});
    }
    expect(await tuplesOf(saver, 'full')).toMatchObject([
      { metadata: { step: 2 } },
      { metadata: { step: 1 } },
    ]);
    await startGraphWriter(place);
    await saver.flush();
    expect(await tuplesOf(saver, 'full')).toHaveLength(3);
  });
});
