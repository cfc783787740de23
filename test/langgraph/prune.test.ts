import type { RunnableConfig } from '@langchain/core/runnables';
import { Command } from '@langchain/langgraph';
import { type BaseCheckpointSaver, TASKS } from '@langchain/langgraph-checkpoint';
import { beforeAll, describe, expect, it } from 'vitest';
import type { QueuedPostgresSaver } from '../../src/langgraph/index.js';
import { type Place, testPlace } from '../store/place.js';
import { startGraphWriter } from './graph-writer.js';
import { graphsOn, SNAPSHOT_FREQUENCY } from './graphs.js';
import { rowsOf, testSaver, tuplesOf } from './place.js';
import { checkpointOf } from './rich-thread.js';
import { onThread } from './scenarios.js';
import { sharedSaver } from './shared-saver.js';

const shared = sharedSaver();
let place: Place;
let saver: QueuedPostgresSaver;
beforeAll(() => {
  ({ place, saver } = shared());
});

interface Tuple {
  config: RunnableConfig;
  checkpoint: { id: string };
}

async function idsOf(threadId: string, of: BaseCheckpointSaver = saver): Promise<string[]> {
  return ((await tuplesOf(of, threadId)) as Tuple[]).map(({ checkpoint }) => checkpoint.id);
}

/** A thread of so many turns of a graph of two nodes: four checkpoints each. */
async function talked(threadId: string, turns: number): Promise<void> {
  for (let turn = 1; turn <= turns; turn++) await graphsOn(saver).talk.invoke({ turn }, onThread(threadId));
  await saver.flush();
}

/** A thread with checkpoints that were made so many minutes ago. */
async function aged(threadId: string, ...minutes: number[]): Promise<string[]> {
  const ids: string[] = [];
  for (const [step, ago] of minutes.entries()) {
    const checkpoint = checkpointOf(step, { a: step }, { a: step + 1 });
    checkpoint.ts = new Date(Date.now() - ago * 60_000).toISOString();
    await saver.put(onThread(threadId), checkpoint, { source: 'loop', step, parents: {} }, { a: step + 1 });
    ids.unshift(checkpoint.id);
  }
  await saver.flush();
  return ids;
}

describe('pruneThreads keeps', () => {
  it('what was sent to the tasks of a checkpoint of an older format, which stands in the writes of its parent', async () => {
    const old = { ...checkpointOf(0, { a: 1 }, { a: 1 }), v: 3 };
    const parent = await saver.put(
      onThread('sends'),
      old,
      { source: 'loop', step: 0, parents: {} },
      { a: 1 },
    );
    await saver.putWrites(parent, [[TASKS, 'sent']], 'task');
    const next = { ...checkpointOf(1, { a: 2 }, { a: 2 }), v: 3 };
    await saver.put(parent, next, { source: 'loop', step: 1, parents: {} }, { a: 2 });
    await saver.pruneThreads({ keepLast: 1, threadId: 'sends' });
    expect((await saver.getTuple(onThread('sends')))?.checkpoint.channel_values).toMatchObject({
      a: 2,
      [TASKS]: ['sent'],
    });
  });

  it.each([1, 3, 5])(
    'the newest %i of a thread as they are, with their values and writes',
    async (keepLast) => {
      const threadId = `newest ${keepLast}`;
      await talked(threadId, 3);
      const all = await tuplesOf(saver, threadId);
      const pruned = await saver.pruneThreads({ keepLast, threadId });
      expect(pruned).toEqual({ threads: 1, checkpoints: 12 - keepLast, heldBack: 0 });
      expect(await tuplesOf(saver, threadId)).toEqual(all.slice(0, keepLast));
      expect(await saver.pruneThreads({ keepLast, threadId })).toEqual({
        threads: 1,
        checkpoints: 0,
        heldBack: 0,
      });
    },
  );

  it('no value that no checkpoint needs, and no write of one that is gone', async () => {
    await talked('garbage', 5);
    const before = await rowsOf(place, 'garbage');
    await saver.pruneThreads({ keepLast: 1, threadId: 'garbage' });
    const [tuple] = (await tuplesOf(saver, 'garbage')) as Array<{ checkpoint: { channel_versions: object } }>;
    const channels = Object.keys(tuple?.checkpoint.channel_versions ?? {});
    const after = await rowsOf(place, 'garbage');
    expect(before.checkpoint_blobs).toBeGreaterThan(2 * channels.length);
    expect(after).toEqual({ checkpoints: 1, checkpoint_blobs: channels.length, checkpoint_writes: 0 });
  });

  it('what is younger than olderThan, and with keepLast too what either of them keeps', async () => {
    const threads = ['age', 'both', 'count', 'none'];
    const [age, both, count, none] = await Promise.all(
      threads.map((thread) => aged(thread, 50, 40, 30, 20, 10)),
    );
    const olderThan = 25 * 60_000;
    expect(await saver.pruneThreads({ olderThan, threadId: 'age' })).toMatchObject({ checkpoints: 3 });
    expect(await idsOf('age')).toEqual(age?.slice(0, 2));
    expect(await saver.pruneThreads({ olderThan, keepLast: 4, threadId: 'both' })).toMatchObject({
      checkpoints: 1,
    });
    expect(await idsOf('both')).toEqual(both?.slice(0, 4));
    expect(await saver.pruneThreads({ olderThan, keepLast: 1, threadId: 'count' })).toMatchObject({
      checkpoints: 3,
    });
    expect(await idsOf('count')).toEqual(count?.slice(0, 2));
    expect(await saver.pruneThreads({ olderThan: 60 * 60_000, threadId: 'none' })).toMatchObject({
      checkpoints: 0,
    });
    expect(await idsOf('none')).toEqual(none);
  });

  it('nothing of a thread that is old as a whole, where olderThan is alone', async () => {
    await aged('old', 50, 40);
    await saver.pruneThreads({ olderThan: 60_000, threadId: 'old' });
    expect(await rowsOf(place, 'old')).toEqual({ checkpoints: 0, checkpoint_blobs: 0, checkpoint_writes: 0 });
  });

  it('all of it with dryRun, which counts what would go', async () => {
    await talked('dry', 2);
    const all = await tuplesOf(saver, 'dry');
    const rows = await rowsOf(place, 'dry');
    expect(await saver.pruneThreads({ keepLast: 2, threadId: 'dry', dryRun: true })).toEqual({
      threads: 1,
      checkpoints: 6,
      heldBack: 0,
    });
    expect(await tuplesOf(saver, 'dry')).toEqual(all);
    expect(await rowsOf(place, 'dry')).toEqual(rows);
  });

  it('an interrupt that waits, which is resumed afterwards', async () => {
    for (const name of ['approval', 'nestedApproval'] as const) {
      const config = onThread(`waiting ${name}`);
      const graph = graphsOn(saver)[name] as ReturnType<typeof graphsOn>['approval'];
      await graph.invoke({ log: [], order: 'tea' }, config);
      const expected = await graph.getState(config, { subgraphs: true });
      await saver.pruneThreads({ keepLast: 1, threadId: `waiting ${name}` });
      expect(await graph.getState(config, { subgraphs: true })).toEqual(expected);
      const { log } = await graph.invoke(new Command({ resume: 'yes' }), config);
      expect(log).toContain('heard yes by nobody');
    }
  });

  it('what a subgraph remembers from run to run', async () => {
    const config = onThread('remembering');
    const graph = graphsOn(saver).remembering;
    for (const topic of ['tea', 'cake', 'milk']) await graph.invoke({ topic }, config);
    await saver.pruneThreads({ keepLast: 1, threadId: 'remembering' });
    const { log } = await graph.invoke({ topic: 'honey' }, config);
    expect(log.at(-1)).toBe('remembers tea by nobody, cake by nobody, milk by nobody, honey by nobody');
  });

  it('nothing of the runs of a subgraph that belong to checkpoints that are gone', async () => {
    const config = onThread('runs of a subgraph');
    const graph = graphsOn(saver).nestedApproval;
    for (let turn = 0; turn < 3; turn++) {
      await graph.invoke({ log: [] }, config);
      await graph.invoke(new Command({ resume: 'yes' }), config);
    }
    const namespaces = async () => {
      const tuples = (await tuplesOf(saver, 'runs of a subgraph')) as Tuple[];
      return new Set(tuples.map(({ config: at }) => String(at.configurable?.checkpoint_ns)));
    };
    expect((await namespaces()).size).toBe(4);
    await saver.pruneThreads({ keepLast: 1, threadId: 'runs of a subgraph' });
    expect(await namespaces()).toEqual(new Set(['']));
    expect((await graph.getState(config)).values.log).toHaveLength(3);
  });

  it('a thread that goes on right after, while runs of it are under way', async () => {
    const config = onThread('busy');
    const graph = graphsOn(saver).talk;
    for (let turn = 1; turn <= 8; turn++) {
      const running = graph.invoke({ turn, log: [] }, config);
      await saver.pruneThreads({ keepLast: 2, threadId: 'busy' });
      const { log } = await running;
      expect(log).toHaveLength(2 * turn);
    }
  });
});

describe('a list that is stored as what was added to it', () => {
  it.each([1, 2, 4, 7])('is whole at the newest %i after a prune, and goes on', async (keepLast) => {
    const threadId = `deltas ${keepLast}`;
    const graph = graphsOn(saver).deltas;
    const config = onThread(threadId);
    // Past the first snapshot, and some way to the second.
    const turns = SNAPSHOT_FREQUENCY;
    for (let turn = 1; turn <= turns; turn++) await graph.invoke({ turn, log: [`turn ${turn}`] }, config);
    const history = async () => {
      const states: unknown[] = [];
      for await (const { values, config: at } of graph.getStateHistory(config)) states.push({ values, at });
      return states;
    };
    const before = await history();
    const { checkpoints } = await saver.pruneThreads({ keepLast, threadId });
    expect(checkpoints).toBeGreaterThan(0);
    const after = await history();
    expect(after.slice(0, keepLast)).toEqual(before.slice(0, keepLast));
    const { log } = await graph.invoke({ turn: 99, log: ['last turn'] }, config);
    expect(log).toHaveLength(3 * (turns + 1));
    expect((await graph.getState(config)).values).toMatchObject({ log });
  });
});

describe('pruneThreads', () => {
  it('goes through all threads, tells its progress, and stops between two of them', async () => {
    const own = await testPlace();
    const many = testSaver(own);
    await startGraphWriter(own);
    const threads = ['a', 'b', 'c', 'd'];
    for (const thread of threads) await graphsOn(many).talk.invoke({ turn: 1 }, onThread(thread));
    await many.flush();
    const abort = new AbortController();
    const told: unknown[] = [];
    const onProgress = (progress: unknown) => {
      told.push(progress);
      if (told.length === 2) abort.abort();
    };
    const stopped = await many.pruneThreads({ keepLast: 1, signal: abort.signal, onProgress });
    expect(stopped).toEqual({ threads: 2, checkpoints: 6, heldBack: 0 });
    expect(told).toEqual([
      { threads: 1, checkpoints: 3, heldBack: 0 },
      { threads: 2, checkpoints: 6, heldBack: 0 },
    ]);
    expect(await many.pruneThreads({ keepLast: 1 })).toEqual({ threads: 4, checkpoints: 6, heldBack: 0 });
    for (const thread of threads) expect(await idsOf(thread, many)).toHaveLength(1);
    expect(await many.pruneThreads({ keepLast: 1, threadId: 'nobody' })).toEqual({
      threads: 1,
      checkpoints: 0,
      heldBack: 0,
    });
  });

  it.each([
    ['keepLast', {}],
    ['keepLast', { keepLast: 0 }],
    ['keepLast', { keepLast: 1.5 }],
    ['olderThan', { olderThan: -1 }],
    ['olderThan', { olderThan: Number.NaN }],
  ])('refuses a %s that says nothing: %o', async (field, options) => {
    await expect(saver.pruneThreads(options)).rejects.toMatchObject({ code: 'INVALID_CONFIG', field });
  });
});
