import { Annotation, type BaseCheckpointSaver, END, START, StateGraph } from '@langchain/langgraph';
import type { JsonValue } from '../../src/index.js';
import type { StateSet } from '../states.js';

/** Steps of a run, each a checkpoint. */
const STEPS = 12;

const AgentState = Annotation.Root({
  seed: Annotation<number>,
  step: Annotation<number>,
  messages: Annotation<JsonValue[]>,
  summary: Annotation<string>,
});
type AgentState = typeof AgentState.State;

/**
 * Two nodes in turn, as an agent and its tools, that compute nothing: each gives back the next state of the set in three channels.
 * LangGraph adds the channels that start a node.
 */
export function agentGraph({ steps }: StateSet, checkpointer: BaseCheckpointSaver) {
  const next = ({ seed, step }: AgentState) => {
    const { state } = steps[(seed * STEPS + step) % steps.length] as StateSet['steps'][number];
    const { messages, summary } = state as Pick<AgentState, 'messages' | 'summary'>;
    return { step: step + 1, messages, summary };
  };
  const orEnd = (node: 'agent' | 'tools') => (state: AgentState) => (state.step < STEPS ? node : END);
  return new StateGraph(AgentState)
    .addNode('agent', next)
    .addNode('tools', next)
    .addEdge(START, 'agent')
    .addConditionalEdges('agent', orEnd('tools'), ['tools', END])
    .addConditionalEdges('tools', orEnd('agent'), ['agent', END])
    .compile({ checkpointer });
}

/** Runs the graph in a thread to its end; a run returns when the saver has taken all of it. */
export async function runThread(
  graph: ReturnType<typeof agentGraph>,
  threadId: string,
  seed: number,
): Promise<void> {
  const config = { configurable: { thread_id: threadId }, durability: 'sync' as const };
  const { step } = await graph.invoke({ seed, step: 0, messages: [], summary: '' }, config);
  if (step !== STEPS) throw new Error(`a run of ${STEPS} steps ended with step ${step}`);
}
