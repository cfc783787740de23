import {
  Annotation,
  type BaseCheckpointSaver,
  END,
  interrupt,
  START,
  StateGraph,
} from '@langchain/langgraph';
import { words } from '../workload.js';

const AgentState = Annotation.Root({
  /** Which of the agents it is: its messages are its own. */
  seed: Annotation<number>,
  step: Annotation<number>,
  messages: Annotation<string[]>({ reducer: (all, more) => [...all, ...more], default: () => [] }),
  approved: Annotation<string>,
});
type AgentState = typeof AgentState.State;

/** The nodes that a run passes through, and what a thread must hold in the end. */
export interface AgentPlan {
  /** Nodes but the one that asks, which comes in the middle. */
  readonly steps: number;
  /** Of a message, about. */
  readonly messageBytes: number;
}

export type AgentGraph = ReturnType<typeof agentGraph>;

/** An agent and its tools, which answer in turn; in the middle of the run it asks a person and waits. Its state grows. */
export function agentGraph({ steps, messageBytes }: AgentPlan, checkpointer: BaseCheckpointSaver) {
  const speak = ({ seed, step }: AgentState) => ({
    step: step + 1,
    messages: [messageOf(seed, step, messageBytes)],
  });
  const middle = middleOf(steps);
  const next = (other: 'agent' | 'tools') => (state: AgentState) => {
    if (state.step === steps) return END;
    return state.step === middle && state.approved === undefined ? 'approval' : other;
  };
  return new StateGraph(AgentState)
    .addNode('agent', speak)
    .addNode('tools', speak)
    .addNode('approval', ({ step }) => ({ approved: interrupt<string, string>(`go on after step ${step}?`) }))
    .addEdge(START, 'agent')
    .addConditionalEdges('agent', next('tools'), ['tools', 'approval', END])
    .addConditionalEdges('tools', next('agent'), ['agent', 'approval', END])
    .addConditionalEdges('approval', next('agent'), ['agent', END])
    .compile({ checkpointer });
}

/** Steps before the person is asked; a run of one step does not ask. */
export function middleOf(steps: number): number {
  return Math.floor(steps / 2);
}

/** The calls of `put` and `putWrites` that LangGraph makes for one run. */
export function callsOf({ steps }: AgentPlan): number {
  // The input and the step that takes it in, then two for each node.
  const run = 3 + 2 * steps;
  // The node that asks: its question, the answer, its result and the step behind it.
  return middleOf(steps) > 0 ? run + 4 : run;
}

/** What a thread holds after so many steps. */
export function messagesOf(agent: number, steps: number, { messageBytes }: AgentPlan): string[] {
  return Array.from({ length: steps }, (_, step) => messageOf(agent, step, messageBytes));
}

function messageOf(agent: number, step: number, bytes: number): string {
  return words(agent * 7919 + step * 104_729, bytes);
}
