import { MemorySaver } from '@langchain/langgraph-checkpoint';
import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CheckpointWriter } from '../../src/index.js';
import type { QueuedPostgresSaver } from '../../src/langgraph/index.js';
import { openPlace, type Place } from '../store/place.js';
import { type Agent, type Call, GraphAgent } from './graph-agent.js';
import { graphWriterOptions } from './graph-writer.js';
import { openSaver, rowsOf } from './place.js';
import { readsOf } from './reads.js';
import { putRichThread } from './rich-thread.js';
import { comparable, fork, SCENARIOS } from './scenarios.js';

/** Our saver and LangGraph's own on the same tables, of which either may have made them. */
let place: Place;
let ours: QueuedPostgresSaver;
let official: PostgresSaver;
let writer: CheckpointWriter;

function onTables(first: 'ours' | 'official'): void {
  beforeAll(async () => {
    place = await openPlace();
    ours = openSaver(place);
    official = PostgresSaver.fromConnString(place.postgres, { schema: place.schema });
    for (const saver of first === 'ours' ? [ours, official] : [official, ours]) await saver.setup();
    writer = new CheckpointWriter({ ...graphWriterOptions(place), lingerMs: 0 });
    await writer.start();
  });
  afterAll(async () => {
    await Promise.all([ours?.end(), official?.end(), writer?.close()]);
    await place?.remove();
  });
}

/** Our saver as an agent whose calls are committed when they return, for the official saver does not wait for the queue. */
class CommittingAgent implements Agent {
  readonly #agent: GraphAgent;

  constructor(
    name: string,
    private readonly saver: QueuedPostgresSaver,
  ) {
    this.#agent = new GraphAgent(name, saver);
  }

  async call<T>(call: Call): Promise<T> {
    try {
      return await this.#agent.call<T>(call);
    } finally {
      await this.saver.flush();
    }
  }
}

describe.each(['ours', 'official'] as const)('on tables that were set up by %s first', (first) => {
  onTables(first);

  it('what we put is read equal by PostgresSaver, in every way to read', async () => {
    await putRichThread(ours, 'by us');
    await ours.flush();
    const seen = await readsOf(official, 'by us');
    expect(await readsOf(ours, 'by us')).toEqual(seen);
    expect(seen).toMatchObject({
      all: { length: 4 },
      inputs: { length: 1 },
      filtered: { length: 1 },
      none: [],
    });
  });

  it('what PostgresSaver put is read equal by us, in every way to read', async () => {
    await putRichThread(official, 'rich');
    const seen = await readsOf(ours, 'rich');
    expect(seen).toEqual(await readsOf(official, 'rich'));
    expect(seen).toMatchObject({
      all: { length: 4 },
      inputs: { length: 1 },
      filtered: { length: 1 },
      none: [],
    });
  });

  it('both give the same of the same thread, whoever put it', async () => {
    await putRichThread(ours, 'ours');
    await putRichThread(official, 'official');
    const told = async (threadId: string) => {
      const { each } = (await readsOf(ours, threadId)) as { each: Array<Record<string, unknown>> };
      return each.map(({ metadata, pendingWrites, checkpoint }) => ({
        metadata,
        pendingWrites,
        values: (checkpoint as { channel_values: unknown }).channel_values,
      }));
    };
    expect(await told('ours')).toEqual(await told('official'));
  });

  it('a thread that both put to is read equal by both, and deleted by either', async () => {
    await putRichThread(official, 'both');
    await putRichThread(ours, 'both');
    await ours.flush();
    await putRichThread(official, 'both');
    const seen = await readsOf(official, 'both');
    expect(seen).toMatchObject({ all: { length: 12 } });
    expect(await readsOf(ours, 'both')).toEqual(seen);
    await ours.deleteThread('both');
    const nothing = { checkpoints: 0, checkpoint_blobs: 0, checkpoint_writes: 0 };
    expect(await rowsOf(place, 'both')).toEqual(nothing);
    // What comes after a delete of ours is stored, also by who numbers nothing.
    await putRichThread(official, 'both');
    expect(await readsOf(ours, 'both')).toMatchObject({ all: { length: 4 } });
    await official.deleteThread('both');
    expect(await readsOf(ours, 'both')).toMatchObject({ all: [] });
  });
});

describe('graphs whose turns are taken by both', () => {
  onTables('official');

  it.each(Object.entries(SCENARIOS))('give what PostgresSaver gives alone: %s', async (_, scenario) => {
    const alone = await scenario(new GraphAgent('one', official), new GraphAgent('other', official), 'alone');
    await official.deleteThread('alone');
    const agents = (one: string, other: string): [Agent, Agent] => [
      new CommittingAgent(one, ours),
      new GraphAgent(other, official),
    ];
    const oursFirst = await scenario(...agents('one', 'other'), 'alone');
    await ours.deleteThread('alone');
    const officialFirst = await scenario(...(agents('other', 'one').reverse() as [Agent, Agent]), 'alone');
    await ours.deleteThread('alone');
    expect(comparable(oursFirst)).toEqual(comparable(alone));
    expect(comparable(officialFirst)).toEqual(comparable(alone));
  });

  it('may have branches that we made: PostgresSaver reads them whole', async () => {
    const agent = new CommittingAgent('one', ours);
    const memory = new MemorySaver();
    const expected = await fork(new GraphAgent('one', memory), new GraphAgent('one', memory), 'forked');
    expect(comparable(await fork(agent, agent, 'forked'))).toEqual(comparable(expected));
    const seen = await readsOf(official, 'forked');
    expect(seen).toEqual(await readsOf(ours, 'forked'));
    const history = (await new GraphAgent('one', official).call({
      do: 'history',
      graph: 'talk',
      config: { configurable: { thread_id: 'forked' } },
    })) as unknown[];
    expect(comparable(history)).toEqual(comparable(expected.at(-1) as unknown[]));
  });
});
