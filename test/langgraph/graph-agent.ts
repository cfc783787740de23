import type { RunnableConfig } from '@langchain/core/runnables';
import { Command } from '@langchain/langgraph';
import type { BaseCheckpointSaver } from '@langchain/langgraph-checkpoint';
import { type GraphName, graphsOn } from './graphs.js';

/** What one may ask of an agent. */
export type Call =
  | {
      readonly do: 'run';
      readonly graph: GraphName;
      readonly input: unknown;
      readonly config: RunnableConfig;
    }
  | {
      readonly do: 'resume';
      readonly graph: GraphName;
      readonly answer: unknown;
      readonly config: RunnableConfig;
    }
  | { readonly do: 'state' | 'history'; readonly graph: GraphName; readonly config: RunnableConfig }
  | {
      readonly do: 'update';
      readonly graph: GraphName;
      readonly values: Record<string, unknown>;
      readonly asNode?: string;
      readonly config: RunnableConfig;
    }
  | { readonly do: 'deleteThread'; readonly threadId: string };

/** Runs graphs, here or in another process. Replies are JSON; what is thrown has a `code` if it is an error of ours. */
export interface Agent {
  call<T = unknown>(call: Call): Promise<T>;
}

/** Runs the graphs of these tests on a saver, in this process. */
export class GraphAgent implements Agent {
  readonly #name: string;
  readonly #saver: BaseCheckpointSaver;
  readonly #graphs: ReturnType<typeof graphsOn>;

  constructor(name: string, saver: BaseCheckpointSaver) {
    this.#name = name;
    this.#saver = saver;
    this.#graphs = graphsOn(saver);
  }

  async call<T>(call: Call): Promise<T> {
    const reply = await this.#call(call);
    return (reply === undefined ? undefined : JSON.parse(JSON.stringify(reply))) as T;
  }

  async #call(call: Call): Promise<unknown> {
    if (call.do === 'deleteThread') return this.#saver.deleteThread(call.threadId);
    const config = { ...call.config, configurable: { ...call.config.configurable, agent: this.#name } };
    // Each graph has a state of its own; what they have in common is enough.
    const graph = this.#graphs[call.graph] as ReturnType<typeof graphsOn>['talk'];
    switch (call.do) {
      case 'run':
        return graph.invoke(call.input as never, config);
      case 'resume':
        return graph.invoke(new Command({ resume: call.answer }), config);
      case 'state':
        return graph.getState(config, { subgraphs: true });
      case 'history': {
        const history: unknown[] = [];
        for await (const state of graph.getStateHistory(config)) history.push(state);
        return history;
      }
      case 'update':
        return graph.updateState(config, call.values, call.asNode);
    }
  }
}
