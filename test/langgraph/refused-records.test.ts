import { describe, expect, it } from 'vitest';
import { DeadLetteredError } from '../../src/index.js';
import type { QueuedPostgresSaver } from '../../src/langgraph/index.js';
import { testLetters } from '../dead-letters/letters.js';
import { type Place, testPlace } from '../store/place.js';
import { deadLetters, failedJobs } from '../writer/forged-jobs.js';
import { startGraphWriter } from './graph-writer.js';
import { rowsOf, testSaver, tuplesOf } from './place.js';
import { checkpointOf } from './rich-thread.js';
import { onThread } from './scenarios.js';

const METADATA = { source: 'loop', step: 0, parents: {} } as const;
const DEAD_LETTERED = { name: 'DeadLetteredError', code: 'DEAD_LETTERED' };

/** A place whose tables refuse channels named poison until it is cured. */
async function poisonablePlace(): Promise<Place & { cure(): Promise<void> }> {
  const place = await testPlace();
  await testSaver(place).setup();
  const tables = ['checkpoint_blobs', 'checkpoint_writes'].map((table) => `${place.schema}.${table}`);
  const onAll = async (change: string) => {
    for (const table of tables) await place.pool.query(`ALTER TABLE ${table} ${change}`);
  };
  await onAll("ADD CONSTRAINT no_poison CHECK (channel <> 'poison')");
  return { ...place, cure: () => onAll('DROP CONSTRAINT no_poison') };
}

/** A put of one channel, and a fine one beside it. */
async function put(
  saver: QueuedPostgresSaver,
  threadId: string,
  channel = 'fine',
  step = 0,
): Promise<string> {
  const versions = { beside: step + 1, [channel]: step + 1 };
  const values = { beside: step, [channel]: step };
  const checkpoint = checkpointOf(step, values, versions);
  await saver.put(onThread(threadId), checkpoint, { ...METADATA, step }, versions);
  return checkpoint.id;
}

describe('a put that PostgreSQL refuses for good', () => {
  it('becomes one dead letter, all of it; all others of its chunk and batch are committed', async () => {
    const place = await poisonablePlace();
    const saver = testSaver(place);
    const threads = Array.from({ length: 20 }, (_, index) => `t${index}`);
    const poisoned = ['t0', 't7', 't19'];
    const ids = await Promise.all(
      threads.map((thread) => put(saver, thread, poisoned.includes(thread) ? 'poison' : 'fine')),
    );
    const at = onThread('t3', { checkpoint_ns: '', checkpoint_id: ids[3] });
    await saver.putWrites(
      at,
      [
        ['fine', 1],
        ['poison', 2],
      ],
      'bad',
    );
    await saver.putWrites(at, [['fine', 3]], 'good');
    const writer = await startGraphWriter(place, { lingerMs: 100 });
    await expect
      .poll(() => writer.stats, { timeout: 10_000 })
      .toMatchObject({ deadLettered: 4, committed: 18 });
    const letters = await deadLetters(place);
    const refused = { sqlState: '23514', replays: 0, sink: 'langgraph' };
    expect(letters).toMatchObject([
      ...poisoned.map((executionId) => ({
        ...refused,
        executionId,
        id: ids[threads.indexOf(executionId)],
      })),
      { ...refused, executionId: 't3', id: ids[3] },
    ]);
    // The put is one unit: neither its checkpoint nor its other values are there.
    const nothing = { checkpoints: 0, checkpoint_blobs: 0, checkpoint_writes: 0 };
    for (const thread of poisoned) expect(await rowsOf(place, thread)).toEqual(nothing);
    const committed = testSaver(place, { consistency: 'committed' });
    for (const thread of threads.filter((one) => !poisoned.includes(one))) {
      expect(await tuplesOf(committed, thread)).toMatchObject([
        {
          checkpoint: { channel_values: { beside: 0, fine: 0 } },
          pendingWrites: thread === 't3' ? [['good', 'fine', 3]] : [],
        },
      ]);
    }
    expect((await failedJobs(place)).size).toBe(0);
  });

  it.each(['P0001', '42501', '40001'])(
    'by a trigger with %s, becomes a dead letter as any other; the rest of its batch is committed',
    async (code) => {
      const place = await testPlace();
      const saver = testSaver(place);
      await saver.setup();
      await place.pool.query(`
        CREATE FUNCTION ${place.schema}.raising() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '${code}'; END $$;
        CREATE TRIGGER raising BEFORE INSERT ON ${place.schema}.checkpoint_blobs FOR EACH ROW
          WHEN (NEW.channel = 'poison') EXECUTE FUNCTION ${place.schema}.raising()`);
      const threads = Array.from({ length: 9 }, (_, index) => `t${index}`);
      for (const [index, thread] of threads.entries())
        await put(saver, thread, index % 4 ? 'fine' : 'poison');
      const writer = await startGraphWriter(place, { lingerMs: 100 });
      await expect
        .poll(() => writer.stats, { timeout: 30_000 })
        .toMatchObject({ deadLettered: 3, committed: 6 });
      const letters = await deadLetters(place);
      expect(letters.map(({ executionId, sqlState }) => [executionId, sqlState])).toEqual(
        ['t0', 't4', 't8'].map((thread) => [thread, code]),
      );
    },
  );

  it('is thrown by all reads of its thread, for what is there is not whole, until it is purged', async () => {
    const place = await poisonablePlace();
    const saver = testSaver(place);
    await startGraphWriter(place);
    await put(saver, 't');
    const id = await put(saver, 't', 'poison', 1);
    await put(saver, 't', 'fine', 2);
    const error = await saver.getTuple(onThread('t')).catch((reason) => reason);
    expect(error).toBeInstanceOf(DeadLetteredError);
    expect(error).toMatchObject({ ...DEAD_LETTERED, id, executionId: 't', sqlState: '23514' });
    await expect(tuplesOf(saver, 't')).rejects.toMatchObject(DEAD_LETTERED);
    await expect(saver.copyThread('t', 'copy')).rejects.toMatchObject(DEAD_LETTERED);
    await expect(saver.pruneThreads({ keepLast: 1, threadId: 't' })).rejects.toMatchObject(DEAD_LETTERED);
    // All threads: the others are pruned all the same.
    expect(await saver.pruneThreads({ keepLast: 1 })).toEqual({ threads: 1, checkpoints: 0, heldBack: 1 });
    await expect(saver.flush('t')).rejects.toMatchObject({ errors: [DEAD_LETTERED] });
    expect(await saver.getTuple(onThread('other'))).toBeUndefined();
    expect(await tuplesOf(testSaver(place, { consistency: 'committed' }), 't')).toHaveLength(2);
    await testLetters(place).purge({ all: true });
    expect(await tuplesOf(saver, 't')).toMatchObject([{ metadata: { step: 2 } }, { metadata: { step: 0 } }]);
  });

  it('is told by flush of who put it, and no value of it is told anywhere', async () => {
    const place = await poisonablePlace();
    const saver = testSaver(place);
    await startGraphWriter(place);
    const checkpoint = checkpointOf(0, { poison: 'a secret' }, { poison: 1 });
    const metadata = { ...METADATA, note: 'a secret' };
    await saver.put(onThread('t'), checkpoint, metadata, { poison: 1 });
    const error = await saver.flush().catch((reason) => reason);
    expect(error).toMatchObject({ errors: [{ ...DEAD_LETTERED, id: checkpoint.id }] });
    const told = [error, error.errors, error.errors[0].message, await deadLetters(place)];
    expect(JSON.stringify(told)).not.toContain('secret');
    await saver.flush();
  });

  it('is whole again when it is replayed after the cure', async () => {
    const place = await poisonablePlace();
    const saver = testSaver(place);
    await startGraphWriter(place);
    await put(saver, 't', 'poison');
    await expect(saver.getTuple(onThread('t'))).rejects.toMatchObject(DEAD_LETTERED);
    await place.cure();
    expect(await testLetters(place).replay({ all: true })).toMatchObject({ replayed: 1, deadAgain: 0 });
    expect(await saver.getTuple(onThread('t'))).toMatchObject({
      checkpoint: { channel_values: { beside: 0, poison: 0 } },
    });
  });

  it('that is replayed after newer puts of its checkpoint overwrites none of them', async () => {
    const place = await poisonablePlace();
    const saver = testSaver(place);
    const writer = await startGraphWriter(place);
    const checkpoint = checkpointOf(0, { poison: 'old' }, { poison: 1 });
    await saver.put(onThread('t'), checkpoint, { ...METADATA, step: 1 }, { poison: 1 });
    await saver.put(onThread('t'), checkpoint, { ...METADATA, step: 2 }, {});
    await expect(saver.getTuple(onThread('t'))).rejects.toMatchObject(DEAD_LETTERED);
    await place.cure();
    await testLetters(place).replay({ all: true });
    expect((await saver.getTuple(onThread('t')))?.metadata).toMatchObject({ step: 2 });
    // Its value is there now: it was the first of its version.
    expect((await saver.getTuple(onThread('t')))?.checkpoint.channel_values).toEqual({ poison: 'old' });
    expect(writer.stats).toMatchObject({ deadLettered: 1 });
  });

  it('holds up nobody once its thread is deleted, and a replay brings nothing back', async () => {
    const place = await poisonablePlace();
    const saver = testSaver(place);
    await startGraphWriter(place);
    await put(saver, 't', 'poison');
    await expect(saver.getTuple(onThread('t'))).rejects.toMatchObject(DEAD_LETTERED);
    await saver.deleteThread('t');
    expect(await saver.getTuple(onThread('t'))).toBeUndefined();
    await put(saver, 't', 'fine', 5);
    await place.cure();
    await testLetters(place).replay({ all: true });
    expect(await tuplesOf(saver, 't')).toMatchObject([{ metadata: { step: 5 } }]);
  });
});
