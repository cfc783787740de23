import type { RunnableConfig } from '@langchain/core/runnables';
import { Annotation, DeltaChannel, END, interrupt, Send, START, StateGraph } from '@langchain/langgraph';
import type { BaseCheckpointSaver } from '@langchain/langgraph-checkpoint';

/** The graphs of these tests, without a model and without a network. Nodes write by whom they were run: `configurable.agent`. */
export type GraphName = keyof ReturnType<typeof graphsOn>;

const lines = () => Annotation<string[]>({ reducer: (all, more) => [...all, ...more], default: () => [] });

function by(config: RunnableConfig, what: string): string {
  return `${what} by ${config.configurable?.agent ?? 'nobody'}`;
}

/** All graphs, compiled with this saver. */
export function graphsOn(checkpointer: BaseCheckpointSaver) {
  return {
    talk: talk().compile({ checkpointer }),
    approval: approval().compile({ checkpointer }),
    remembering: remembering().compile({ checkpointer }),
    nestedApproval: nestedApproval().compile({ checkpointer }),
    fanOut: fanOut().compile({ checkpointer }),
    deltas: deltas().compile({ checkpointer }),
  };
}

/** Two nodes, a list that grows, a number that is replaced. */
function talk() {
  const State = Annotation.Root({ log: lines(), turn: Annotation<number>() });
  return new StateGraph(State)
    .addNode('think', (state, config) => ({ log: [by(config, `think ${state.turn}`)] }))
    .addNode('act', (state, config) => ({ log: [by(config, `act ${state.turn}`)], turn: state.turn * 10 }))
    .addEdge(START, 'think')
    .addEdge('think', 'act')
    .addEdge('act', END);
}

/** Waits for a human between two steps. */
function approval() {
  const State = Annotation.Root({ log: lines(), order: Annotation<string>() });
  return new StateGraph(State)
    .addNode('draft', (state, config) => ({ log: [by(config, `draft ${state.order}`)] }))
    .addNode('ask', (state, config) => {
      const answer = interrupt<unknown, string>({ question: `really ${state.order}?` });
      return { log: [by(config, `heard ${answer}`)] };
    })
    .addNode('buy', (state, config) => ({ log: [by(config, `bought ${state.order}`)] }))
    .addEdge(START, 'draft')
    .addEdge('draft', 'ask')
    .addEdge('ask', 'buy')
    .addEdge('buy', END);
}

/** A subgraph with a checkpointer of its own: what it remembers goes on from run to run, and the parent does not see it. */
function remembering() {
  const Memory = Annotation.Root({ topic: Annotation<string>(), memory: lines() });
  const child = new StateGraph(Memory)
    .addNode('remember', (state, config) => ({ memory: [by(config, state.topic)] }))
    .addEdge(START, 'remember')
    .addEdge('remember', END)
    .compile({ checkpointer: true });
  const State = Annotation.Root({ topic: Annotation<string>(), log: lines() });
  return new StateGraph(State)
    .addNode('mind', async (state, config) => {
      const { memory } = await child.invoke({ topic: state.topic }, config);
      return { log: [`remembers ${memory.join(', ')}`] };
    })
    .addEdge(START, 'mind')
    .addEdge('mind', END);
}

/** A subgraph that waits for a human. */
function nestedApproval() {
  const State = Annotation.Root({ log: lines() });
  const child = new StateGraph(State)
    .addNode('prepare', (_, config) => ({ log: [by(config, 'prepared')] }))
    .addNode('ask', (_, config) => ({ log: [by(config, `heard ${interrupt<unknown, string>('go on?')}`)] }))
    .addEdge(START, 'prepare')
    .addEdge('prepare', 'ask')
    .addEdge('ask', END)
    .compile();
  return new StateGraph(Annotation.Root({ log: Annotation<string[]>() }))
    .addNode('child', child)
    .addNode('done', (state, config) => ({ log: [...state.log, by(config, 'done')] }))
    .addEdge(START, 'child')
    .addEdge('child', 'done')
    .addEdge('done', END);
}

/** One task for each item, side by side; the one that `configurable.failing` names fails. */
function fanOut() {
  const State = Annotation.Root({ items: Annotation<string[]>(), results: lines() });
  return new StateGraph(State)
    .addNode('plan', () => ({}))
    .addNode('work', ({ item }: { item: string }, config) => {
      if (config.configurable?.failing === item) throw new Error(`${item} failed`);
      return { results: [by(config, item)] };
    })
    .addNode('gather', (state) => ({ results: [`${state.results.length} results`] }))
    .addEdge(START, 'plan')
    .addConditionalEdges('plan', ({ items }) => items.map((item) => new Send('work', { item })), ['work'])
    .addEdge('work', 'gather')
    .addEdge('gather', END);
}

/** How many updates a delta channel takes before it is stored whole. */
export const SNAPSHOT_FREQUENCY = 6;

/** A list that is stored as what was added to it. */
function deltas() {
  const log = () =>
    new DeltaChannel<string[], string[]>((all, more) => [...all, ...more.flat()], {
      snapshotFrequency: SNAPSHOT_FREQUENCY,
      initialValueFactory: () => [],
    });
  const State = Annotation.Root({
    log: log as unknown as ReturnType<typeof lines>,
    turn: Annotation<number>(),
  });
  return new StateGraph(State)
    .addNode('think', (state, config) => ({ log: [by(config, `think ${state.turn}`)] }))
    .addNode('act', (state, config) => ({ log: [by(config, `act ${state.turn}`)] }))
    .addEdge(START, 'think')
    .addEdge('think', 'act')
    .addEdge('act', END);
}
