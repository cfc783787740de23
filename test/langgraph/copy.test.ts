import { Command } from '@langchain/langgraph';
import { beforeAll, describe, expect, it } from 'vitest';
import type { QueuedPostgresSaver } from '../../src/langgraph/index.js';
import type { Place } from '../store/place.js';
import { GraphAgent } from './graph-agent.js';
import { graphsOn } from './graphs.js';
import { rowsOf, tuplesOf } from './place.js';
import { checkpointOf, putRichThread } from './rich-thread.js';
import { fork, onThread } from './scenarios.js';
import { sharedSaver } from './shared-saver.js';

const INVALID = { name: 'InvalidCheckpointError', code: 'INVALID_CHECKPOINT' };

const shared = sharedSaver();
let place: Place;
let saver: QueuedPostgresSaver;
beforeAll(() => {
  ({ place, saver } = shared());
});

/** All that is told of a thread, with its id as that of the other. */
async function toldOf(threadId: string, as: string): Promise<unknown> {
  const tuples = await tuplesOf(saver, threadId);
  return JSON.parse(JSON.stringify(tuples).replaceAll(`"${threadId}"`, `"${as}"`));
}

describe('a copy of a thread', () => {
  it('has all of it: states, history, values of all kinds, namespaces and writes', async () => {
    await putRichThread(saver, 'rich');
    const original = await tuplesOf(saver, 'rich');
    expect(await saver.copyThread('rich', 'copy of rich')).toEqual({ checkpoints: 4 });
    expect(await toldOf('copy of rich', 'rich')).toEqual(JSON.parse(JSON.stringify(original)));
    expect(await rowsOf(place, 'copy of rich')).toEqual(await rowsOf(place, 'rich'));
    expect(await tuplesOf(saver, 'rich')).toEqual(original);
  });

  it('has what was put right before', async () => {
    await graphsOn(saver).talk.invoke({ turn: 1 }, onThread('just put'));
    expect(await saver.copyThread('just put', 'copy of just put')).toEqual({ checkpoints: 4 });
    expect(await toldOf('copy of just put', 'just put')).toEqual(
      JSON.parse(JSON.stringify(await tuplesOf(saver, 'just put'))),
    );
  });

  it('is found by its own thread id, where the metadata names it', async () => {
    for (const [step, thread_id] of ['named', 'someone else'].entries()) {
      const metadata = { source: 'loop' as const, step, parents: {}, thread_id };
      await saver.put(onThread('named'), checkpointOf(step, {}, {}), metadata, {});
    }
    await saver.copyThread('named', 'copy of named');
    const found: unknown[] = [];
    for await (const tuple of saver.list({}, { filter: { thread_id: 'copy of named' } })) found.push(tuple);
    expect(found).toMatchObject([{ config: onThread('copy of named'), metadata: { step: 0 } }]);
    expect(await tuplesOf(saver, 'copy of named')).toMatchObject([
      { metadata: { thread_id: 'someone else' } },
      { metadata: { thread_id: 'copy of named' } },
    ]);
  });

  it('goes on by itself, and neither knows of the other', async () => {
    const graph = graphsOn(saver).talk;
    await graph.invoke({ turn: 1 }, onThread('one'));
    await saver.copyThread('one', 'other');
    const copied = await tuplesOf(saver, 'other');
    const { log } = await graph.invoke({ turn: 2 }, onThread('one'));
    expect(log).toHaveLength(4);
    expect(await tuplesOf(saver, 'other')).toEqual(copied);
    expect((await graph.invoke({ turn: 3 }, onThread('other'))).turn).toBe(30);
    expect((await graph.getState(onThread('one'))).values).toMatchObject({ turn: 20 });
    await saver.deleteThread('one');
    expect((await graph.getState(onThread('other'))).values).toMatchObject({ turn: 30, log: { length: 4 } });
  });

  it.each(['approval', 'nestedApproval'] as const)(
    'waits where the original waits, and each is resumed by itself: %s',
    async (name) => {
      const graph = graphsOn(saver)[name] as ReturnType<typeof graphsOn>['approval'];
      const [from, to] = [onThread(name), onThread(`copy of ${name}`)];
      await graph.invoke({ log: [], order: 'tea' }, from);
      await saver.copyThread(name, `copy of ${name}`);
      const { log: copied } = await graph.invoke(new Command({ resume: 'no' }), to);
      expect(copied).toContain('heard no by nobody');
      expect((await graph.getState(from)).next).not.toEqual([]);
      const { log } = await graph.invoke(new Command({ resume: 'yes' }), from);
      expect(log).toContain('heard yes by nobody');
      expect((await graph.getState(to)).values.log).toEqual(copied);
    },
  );

  it('has all branches of the thread', async () => {
    const agent = new GraphAgent('agent', saver);
    await fork(agent, agent, 'branches');
    await saver.copyThread('branches', 'copy of branches');
    expect(await toldOf('copy of branches', 'branches')).toEqual(
      JSON.parse(JSON.stringify(await tuplesOf(saver, 'branches'))),
    );
  });

  it('of a list that is stored as what was added to it is whole', async () => {
    const graph = graphsOn(saver).deltas;
    for (let turn = 1; turn <= 4; turn++) await graph.invoke({ turn, log: [`${turn}`] }, onThread('deltas'));
    await saver.copyThread('deltas', 'copy of deltas');
    const { values } = await graph.getState(onThread('copy of deltas'));
    expect(values).toEqual((await graph.getState(onThread('deltas'))).values);
    expect(values.log).toHaveLength(12);
  });

  it('may be made where a thread was deleted, and may be deleted and made again', async () => {
    const graph = graphsOn(saver).talk;
    await graph.invoke({ turn: 1 }, onThread('source'));
    await graph.invoke({ turn: 9 }, onThread('target'));
    for (let round = 0; round < 3; round++) {
      await saver.deleteThread('target');
      expect(await saver.copyThread('source', 'target')).toEqual({ checkpoints: 4 });
      expect(await toldOf('target', 'source')).toEqual(
        JSON.parse(JSON.stringify(await tuplesOf(saver, 'source'))),
      );
    }
  });
});

describe('copyThread refuses', () => {
  it('a thread that has nothing, one that has something already, and itself, and copies nothing', async () => {
    await graphsOn(saver).talk.invoke({ turn: 1 }, onThread('full'));
    await expect(saver.copyThread('nothing', 'new')).rejects.toMatchObject({ ...INVALID, field: 'from' });
    await expect(saver.copyThread('full', 'full')).rejects.toMatchObject({ ...INVALID, field: 'to' });
    await graphsOn(saver).talk.invoke({ turn: 2 }, onThread('taken'));
    const taken = await tuplesOf(saver, 'taken');
    await expect(saver.copyThread('full', 'taken')).rejects.toMatchObject({ ...INVALID, field: 'to' });
    expect(await tuplesOf(saver, 'taken')).toEqual(taken);
    await saver.deleteThread('full');
    await expect(saver.copyThread('full', 'new')).rejects.toMatchObject({ ...INVALID, field: 'from' });
    expect(await rowsOf(place, 'new')).toEqual({ checkpoints: 0, checkpoint_blobs: 0, checkpoint_writes: 0 });
  });

  it('names that cannot be threads, and says which of the two', async () => {
    await graphsOn(saver).talk.invoke({ turn: 1 }, onThread('fine'));
    for (const name of ['', 'a\0b', 'x'.repeat(513)]) {
      await expect(saver.copyThread(name, 'new')).rejects.toMatchObject({ ...INVALID, field: 'from' });
      await expect(saver.copyThread('fine', name)).rejects.toMatchObject({ ...INVALID, field: 'to' });
    }
  });

  it('all but one of many that copy to the same thread at once', async () => {
    await graphsOn(saver).talk.invoke({ turn: 1 }, onThread('popular'));
    const copies = Array.from({ length: 6 }, () => saver.copyThread('popular', 'contested'));
    const settled = await Promise.allSettled(copies);
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const copy of settled) {
      if (copy.status === 'rejected') expect(copy.reason).toMatchObject({ ...INVALID, field: 'to' });
    }
    expect(await tuplesOf(saver, 'contested')).toHaveLength(4);
  });
});
