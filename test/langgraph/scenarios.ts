import type { RunnableConfig } from '@langchain/core/runnables';
import type { Agent } from './graph-agent.js';
import type { GraphName } from './graphs.js';

/** What is done with a thread, by one agent and then by another one, and all that they saw of it. */
export type Scenario = (one: Agent, other: Agent, threadId: string) => Promise<unknown[]>;

interface Snapshot {
  readonly config: RunnableConfig;
  readonly next: string[];
}

export function onThread(threadId: string, more: Record<string, unknown> = {}): RunnableConfig {
  return { configurable: { thread_id: threadId, ...more } };
}

export function run<T = unknown>(
  agent: Agent,
  graph: GraphName,
  input: unknown,
  config: RunnableConfig,
): Promise<T> {
  return agent.call<T>({ do: 'run', graph, input, config });
}

export function stateOf<T = Snapshot>(agent: Agent, graph: GraphName, config: RunnableConfig): Promise<T> {
  return agent.call<T>({ do: 'state', graph, config });
}

export function historyOf(agent: Agent, graph: GraphName, config: RunnableConfig): Promise<Snapshot[]> {
  return agent.call<Snapshot[]>({ do: 'history', graph, config });
}

/** The checkpoint of a history before which this node was next. */
async function before(node: string, ...where: Parameters<typeof historyOf>): Promise<RunnableConfig> {
  const found = (await historyOf(...where)).find(({ next }) => next.includes(node));
  if (!found) throw new Error(`${node} was never next`);
  return found.config;
}

export const SCENARIOS: Record<string, Scenario> = {
  'its state and history': async (one, other, threadId) => {
    const config = onThread(threadId);
    return [
      await run(one, 'talk', { turn: 1, log: ['hello'] }, config),
      await stateOf(other, 'talk', config),
      await historyOf(other, 'talk', config),
    ];
  },

  'a second turn, and a third one there again': async (one, other, threadId) => {
    const config = onThread(threadId);
    return [
      await run(one, 'talk', { turn: 1 }, config),
      await run(other, 'talk', { turn: 2 }, config),
      await run(one, 'talk', { turn: 3 }, config),
      await historyOf(other, 'talk', config),
    ];
  },

  'a resume after an interrupt': async (one, other, threadId) => {
    const config = onThread(threadId);
    return [
      await run(one, 'approval', { order: 'tea' }, config),
      await stateOf(other, 'approval', config),
      await other.call({ do: 'resume', graph: 'approval', answer: 'yes', config }),
      await stateOf(one, 'approval', config),
      await historyOf(one, 'approval', config),
    ];
  },

  'an update of its state, on which it goes on': async (one, other, threadId) => {
    const config = onThread(threadId);
    return [
      await run(one, 'talk', { turn: 1 }, config),
      await other.call({ do: 'update', graph: 'talk', values: { log: ['corrected'], turn: 7 }, config }),
      await stateOf(one, 'talk', config),
      await run(one, 'talk', { turn: 8 }, config),
      await historyOf(other, 'talk', config),
    ];
  },

  'an update as a node that did not run': async (one, other, threadId) => {
    const config = onThread(threadId);
    const update = { do: 'update', graph: 'talk', values: { log: ['thought'], turn: 5 }, config } as const;
    return [
      await one.call({ ...update, asNode: 'think' }),
      await stateOf(other, 'talk', config),
      await run(other, 'talk', null, config),
      await stateOf(one, 'talk', config),
    ];
  },

  'a subgraph with a checkpointer of its own, which remembers': async (one, other, threadId) => {
    const config = onThread(threadId);
    return [
      await run(one, 'remembering', { topic: 'tea' }, config),
      await run(other, 'remembering', { topic: 'cake' }, config),
      await run(one, 'remembering', { topic: 'milk' }, config),
      await stateOf(other, 'remembering', config),
    ];
  },

  'an interrupt within a subgraph': async (one, other, threadId) => {
    const config = onThread(threadId);
    return [
      await run(one, 'nestedApproval', { log: ['begin'] }, config),
      await stateOf(other, 'nestedApproval', config),
      await other.call({ do: 'resume', graph: 'nestedApproval', answer: 'yes', config }),
      await stateOf(one, 'nestedApproval', config),
      await historyOf(one, 'nestedApproval', config),
    ];
  },

  'tasks side by side, of which one failed and is tried again': async (one, other, threadId) => {
    const input = { items: ['a', 'b', 'c'] };
    const failed = run(one, 'fanOut', input, onThread(threadId, { failing: 'b' }));
    const message = await failed.then(
      () => 'it did not fail',
      (error: Error) => error.message,
    );
    const config = onThread(threadId);
    return [
      message,
      await stateOf(other, 'fanOut', config),
      await run(other, 'fanOut', null, config),
      await stateOf(one, 'fanOut', config),
    ];
  },

  'a list that is stored as what was added to it': async (one, other, threadId) => {
    const config = onThread(threadId);
    const seen: unknown[] = [];
    for (let turn = 1; turn <= 5; turn++) {
      seen.push(await run(turn % 2 ? one : other, 'deltas', { turn, log: [`turn ${turn}`] }, config));
    }
    return [...seen, await stateOf(other, 'deltas', config), await historyOf(one, 'deltas', config)];
  },

  'a thread that was deleted and is begun anew': async (one, other, threadId) => {
    const config = onThread(threadId);
    await run(one, 'approval', { order: 'tea' }, config);
    await other.call({ do: 'deleteThread', threadId });
    return [
      await stateOf(one, 'approval', config),
      await historyOf(other, 'approval', config),
      await run(other, 'approval', { order: 'cake' }, config),
      await historyOf(one, 'approval', config),
    ];
  },
};

/** Several branches of one thread; PostgresSaver, whose branches share the versions of channels, loses values here. */
export const fork: Scenario = async (one, other, threadId) => {
  const config = onThread(threadId);
  const seen = [await run(one, 'talk', { turn: 1 }, config)];
  const old = await before('act', other, 'talk', config);
  const values = { log: ['another way'], turn: 5 };
  const branch = await other.call<RunnableConfig>({ do: 'update', graph: 'talk', values, config: old });
  seen.push(branch, await stateOf(one, 'talk', config), await run(one, 'talk', null, branch));
  // And a second one from the same place, begun by running on from there.
  seen.push(await run(other, 'talk', null, old), await historyOf(one, 'talk', config));
  return seen;
};

const IDS = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b/g;
const TIMES = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g;

/** What was seen, with numbers in place of ids, in the order in which they come up, and without times. */
export function comparable(seen: unknown[]): unknown {
  const numbers = new Map<string, number>();
  const text = JSON.stringify(seen)
    .replace(TIMES, 'some time')
    .replace(IDS, (id) => {
      if (!numbers.has(id)) numbers.set(id, numbers.size + 1);
      return `id ${numbers.get(id)}`;
    });
  return JSON.parse(text);
}
