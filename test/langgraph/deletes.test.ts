import { beforeEach, describe, expect, it, vi } from 'vitest';
import { GraphSink } from '../../src/langgraph/graph-sink.js';
import { Database } from '../../src/postgres/database.js';
import { graphTableNames, graphTableSql } from '../../src/postgres/graph-tables.js';
import { type Place, testPlace } from '../store/place.js';
import { HeldCommits } from '../writer/held-commit.js';
import { SAME_CLOCK } from '../writer/records.js';
import { startGraphWriter } from './graph-writer.js';
import { graphsOn } from './graphs.js';
import { rowsOf, testSaver, tuplesOf } from './place.js';
import { checkpointOf } from './rich-thread.js';
import { onThread } from './scenarios.js';

const METADATA = { source: 'loop', step: 0, parents: {} } as const;
const NOTHING = { checkpoints: 0, checkpoint_blobs: 0, checkpoint_writes: 0 };

let place: Place;
beforeEach(async () => {
  place = await testPlace();
  await testSaver(place).setup();
});

/** A checkpoint with a value and a write. */
async function putAll(saver: ReturnType<typeof testSaver>, threadId: string): Promise<void> {
  const config = await saver.put(onThread(threadId), checkpointOf(0, { a: 1 }, { a: 1 }), METADATA, { a: 1 });
  await saver.putWrites(config, [['a', 1]], 'task');
}

describe('deleteThread while a batch stands before its commit', () => {
  it('waits for the batch, and nothing of it remains', async () => {
    const held = new HeldCommits({ connectionString: place.postgres });
    await startGraphWriter(place, { postgres: held });
    const application_name = place.schema;
    const saver = testSaver(place, { postgres: { connectionString: place.postgres, application_name } });
    await putAll(saver, 'doomed');
    await held.stands();
    let returned = false;
    const deleting = saver.deleteThread('doomed').finally(() => {
      returned = true;
    });
    await vi.waitFor(async () => {
      const { rows } = await place.pool.query(
        "SELECT 1 FROM pg_stat_activity WHERE application_name = $1 AND wait_event = 'advisory'",
        [application_name],
      );
      expect(rows).toHaveLength(1);
    });
    expect(returned).toBe(false);
    held.letGo();
    await deleting;
    expect(await rowsOf(place, 'doomed')).toEqual(NOTHING);
    await saver.flush();
    expect(await rowsOf(place, 'doomed')).toEqual(NOTHING);
  });

  it('waits for no batch that has its last look before it, and that batch commits nothing of it', async () => {
    const { lastLook } = graphTableSql(graphTableNames(place.schema));
    const held = new HeldCommits({ connectionString: place.postgres }, lastLook);
    const writer = await startGraphWriter(place, { postgres: held });
    const saver = testSaver(place);
    await Promise.all([putAll(saver, 'doomed'), putAll(saver, 'kept')]);
    await held.stands();
    await saver.deleteThread('doomed');
    held.letGo();
    await saver.flush();
    expect(await rowsOf(place, 'doomed')).toEqual(NOTHING);
    expect(await tuplesOf(saver, 'kept')).toMatchObject([{ pendingWrites: [['task', 'a', 1]] }]);
    expect(writer.stats).toMatchObject({ committed: 2, deleted: 2, superseded: 0 });
  });
});

it.each(['that is there', 'that is not there yet'])(
  'a delete comes after what was put before it was called, acknowledged or not, on a connection %s',
  async (connection) => {
    const saver = testSaver(place);
    if (connection === 'that is there') await putAll(saver, 'other');
    const puts = Array.from({ length: 40 }, () =>
      saver.put(onThread('doomed'), checkpointOf(1, { a: 1 }, { a: 1 }), METADATA, { a: 1 }),
    );
    await saver.deleteThread('doomed');
    await Promise.all(puts);
    await startGraphWriter(place);
    await saver.flush();
    expect(await rowsOf(place, 'doomed')).toEqual(NOTHING);
  },
);

it('what is put after a delete has returned is stored, by whomever', async () => {
  await startGraphWriter(place);
  const savers = [testSaver(place), testSaver(place)];
  for (let round = 0; round < 5; round++) {
    for (const [index, saver] of savers.entries()) {
      await putAll(saver, 'anew');
      await savers[1 - index]?.deleteThread('anew');
      await putAll(saver, 'anew');
      expect(await tuplesOf(saver, 'anew')).toHaveLength(1);
    }
  }
});

it('a delete that broke off counts: its rows are gone to every read, new ones are not, and a writer settles it', async () => {
  const saver = testSaver(place);
  const writer = await startGraphWriter(place);
  await graphsOn(saver).talk.invoke({ turn: 1 }, onThread('broken'));
  await saver.flush();
  await writer.close();
  const names = graphTableNames(place.schema);
  const database = new Database(place.postgres);
  try {
    await database.query(graphTableSql(names).bury, [['thread'], ['broken'], [null]]);
    expect(await saver.getTuple(onThread('broken'))).toBeUndefined();
    expect(await tuplesOf(saver, 'broken')).toEqual([]);
    expect(await saver.listThreads()).toEqual([]);
    expect(await saver.pruneThreads({ keepLast: 1 })).toEqual({ threads: 0, checkpoints: 0, heldBack: 0 });
    await expect(saver.copyThread('broken', 'copy')).rejects.toMatchObject({ field: 'from' });
    await place.pool.query(`UPDATE ${names.tombstones} SET created_at = now() - interval '2 minutes'`);
    await new GraphSink(names).maintain(database, {
      tombstoneDays: 30,
      oldestSequence: undefined,
      clocks: SAME_CLOCK,
    });
    expect(await rowsOf(place, 'broken')).toEqual(NOTHING);
  } finally {
    await database.close();
  }
});

it('many deletes at once, under runs of graphs, end, leave nothing, and take nothing of others', async () => {
  await startGraphWriter(place, { lingerMs: 0 });
  const saver = testSaver(place, { maxChunkRecords: 3 });
  const threads = Array.from({ length: 30 }, (_, index) => `thread ${index}`);
  await Promise.all(
    threads.map(async (thread, index) => {
      await graphsOn(saver).talk.invoke({ turn: index }, onThread(thread));
      if (index % 3 > 0) await saver.deleteThread(thread);
    }),
  );
  await saver.flush();
  for (const [index, thread] of threads.entries()) {
    if (index % 3 > 0) expect(await rowsOf(place, thread)).toEqual(NOTHING);
    else expect(await tuplesOf(saver, thread)).toHaveLength(4);
  }
});
