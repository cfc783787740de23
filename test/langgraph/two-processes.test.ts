import { MemorySaver } from '@langchain/langgraph-checkpoint';
import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPlace, type Place } from '../store/place.js';
import { GraphAgent } from './graph-agent.js';
import { startLateWriter } from './late-writer.js';
import { openSaver, rowsOf, tuplesOf } from './place.js';
import { RemoteAgent } from './remote-agent.js';
import { comparable, fork, onThread, run, SCENARIOS, stateOf } from './scenarios.js';

/** Two processes with a saver each, and a writer that commits late. Beside them the same with LangGraph's own savers. */
const COMMIT_LAG_MS = 100;

let place: Place;
let officialPlace: Place;
let writer: Awaited<ReturnType<typeof startLateWriter>>;
let one: RemoteAgent;
let other: RemoteAgent;
let official: PostgresSaver[];

beforeAll(async () => {
  place = await openPlace();
  one = new RemoteAgent('one', place);
  other = new RemoteAgent('other', place);
  const setup = openSaver(place);
  await setup.setup();
  await setup.end();
  writer = await startLateWriter(place, COMMIT_LAG_MS);
  officialPlace = await openPlace();
  const { postgres, schema } = officialPlace;
  official = [1, 2].map(() => PostgresSaver.fromConnString(postgres, { schema }));
  await official[0]?.setup();
  // Both are there before the first test: a process that starts meanwhile would come after the commit.
  await Promise.all([one, other].map((agent) => stateOf(agent, 'talk', onThread('nobody'))));
});

afterAll(async () => {
  await Promise.all([one?.close(), other?.close(), ...(official ?? []).map((saver) => saver.end())]);
  await writer?.close();
  await place?.remove();
  await officialPlace?.remove();
});

describe('what one process did is seen by another one right after, and equals what PostgresSaver gives', () => {
  it.each(Object.entries(SCENARIOS))('%s', async (name, scenario) => {
    const [first, second] = official as [PostgresSaver, PostgresSaver];
    const seen = await scenario(one, other, name);
    const expected = await scenario(new GraphAgent('one', first), new GraphAgent('other', second), name);
    expect(comparable(seen)).toEqual(comparable(expected));
  });
});

describe('branches of a thread', () => {
  it('equal those of the saver in memory, values of all branches included', async () => {
    const memory = new MemorySaver();
    const seen = await fork(one, other, 'forked');
    const expected = await fork(new GraphAgent('one', memory), new GraphAgent('other', memory), 'forked');
    expect(comparable(seen)).toEqual(comparable(expected));
  });

  it('lose values with PostgresSaver: the reason for versions that branches do not share', async () => {
    const [first, second] = official as [PostgresSaver, PostgresSaver];
    const memory = new MemorySaver();
    const seen = await fork(new GraphAgent('one', first), new GraphAgent('other', second), 'forked');
    const expected = await fork(new GraphAgent('one', memory), new GraphAgent('other', memory), 'forked');
    expect(comparable(seen)).not.toEqual(comparable(expected));
  });
});

it('the lag is real: who reads what is committed alone sees nothing yet', async () => {
  const saver = openSaver(place, { consistency: 'committed' });
  // On a busy machine a look may come after the commit.
  const looked = async (config: ReturnType<typeof onThread>) => {
    await run(one, 'talk', { turn: 1 }, config);
    return saver.getTuple(config);
  };
  try {
    let config = onThread('lagging');
    for (let tries = 1; (await looked(config)) !== undefined; tries++) config = onThread(`lagging-${tries}`);
    expect(await stateOf(other, 'talk', config)).toMatchObject({ values: { turn: 10 } });
    expect(await saver.getTuple(config)).toBeDefined();
  } finally {
    await saver.end();
  }
});

describe('deleteThread right after a run in another process', () => {
  it('leaves nothing of the thread in any table, nothing comes back, and others keep theirs', async () => {
    const saver = openSaver(place);
    try {
      await run(one, 'approval', { order: 'tea' }, onThread('kept'));
      const kept = await tuplesOf(saver, 'kept');
      await run(one, 'approval', { order: 'tea' }, onThread('doomed'));
      await other.call({ do: 'deleteThread', threadId: 'doomed' });
      const nothing = { checkpoints: 0, checkpoint_blobs: 0, checkpoint_writes: 0 };
      expect(await rowsOf(place, 'doomed')).toEqual(nothing);
      await drained();
      expect(await rowsOf(place, 'doomed')).toEqual(nothing);
      expect(await tuplesOf(saver, 'kept')).toEqual(kept);
    } finally {
      await saver.end();
    }
  });
});

async function drained(): Promise<void> {
  await expect.poll(() => place.client.zcard(place.keys.chunks)).toBe(0);
}
