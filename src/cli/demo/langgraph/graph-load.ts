import type { RunnableConfig } from '@langchain/core/runnables';
import { Command } from '@langchain/langgraph';
import type {
  ChannelVersions,
  Checkpoint,
  CheckpointMetadata,
  PendingWrite,
} from '@langchain/langgraph-checkpoint';
import { QueuedPostgresSaver, type QueuedPostgresSaverOptions } from '../../../langgraph/index.js';
import type { DemoLoad, Verification } from '../demo-load.js';
import type { DemoPlace, DemoServices } from '../demo-place.js';
import { type AgentGraph, type AgentPlan, agentGraph, callsOf, messagesOf, middleOf } from './agent-graph.js';
import { GraphOracle } from './graph-oracle.js';

export interface GraphLoadOptions extends AgentPlan {
  readonly agents: number;
}

/** LangGraph adds steps of its own to those of the nodes. */
const SPARE_STEPS = 10;

/**
 * Agents that run a LangGraph.js graph, each in a thread of its own. In the middle each one asks and waits; it is resumed through
 * another saver, as by another process, which must see all that the first one put.
 */
export class GraphLoad implements DemoLoad {
  readonly agents: number;
  readonly saves: number;
  readonly workerSettings: NodeJS.ProcessEnv;
  readonly #options: GraphLoadOptions;
  readonly #oracle = new GraphOracle();
  readonly #first: WatchedSaver;
  readonly #second: WatchedSaver;
  #acknowledged: (latencyMs: number) => void = () => {};

  constructor(options: GraphLoadOptions, { databaseUrl, redisUrl }: DemoServices, place: DemoPlace) {
    this.#options = options;
    this.agents = options.agents;
    this.saves = options.agents * callsOf(options);
    // The worker's own table stands beside those of LangGraph, one of which has its name.
    this.workerSettings = {
      CKPT_LANGGRAPH_SCHEMA: place.schema,
      CKPT_SCHEMA: place.schema,
      CKPT_TABLE: 'store_checkpoints',
    };
    const open = () =>
      new WatchedSaver(
        { redis: redisUrl, postgres: databaseUrl, ...place, onQueueFull: 'wait' },
        this.#oracle,
        (latencyMs) => this.#acknowledged(latencyMs),
      );
    this.#first = open();
    this.#second = open();
  }

  get executions(): number {
    return this.#oracle.threads;
  }

  prepare(): Promise<void> {
    return this.#first.setup();
  }

  async run(acknowledged: (latencyMs: number) => void, signal: AbortSignal): Promise<void> {
    this.#acknowledged = acknowledged;
    const graphs = [agentGraph(this.#options, this.#first), agentGraph(this.#options, this.#second)] as const;
    const agents = Array.from({ length: this.agents }, (_, agent) => this.#runAgent(agent, graphs, signal));
    await Promise.all(agents);
  }

  async flush(): Promise<void> {
    await Promise.all([this.#first.flush(), this.#second.flush()]);
  }

  verify(onExecution: () => void, signal: AbortSignal): Promise<Verification> {
    return this.#oracle.verify(this.#first, onExecution, signal);
  }

  async close(): Promise<void> {
    await Promise.all([this.#first.end(), this.#second.end()]);
  }

  async #runAgent(
    agent: number,
    [first, second]: readonly [AgentGraph, AgentGraph],
    signal: AbortSignal,
  ): Promise<void> {
    const { steps } = this.#options;
    const threadId = `demo-thread-${agent}`;
    const config = {
      configurable: { thread_id: threadId },
      durability: 'sync' as const,
      recursionLimit: steps + SPARE_STEPS,
      // One of its own: LangGraph listens to it, and a signal warns of many listeners.
      signal: AbortSignal.any([signal]),
    };
    try {
      await first.invoke({ seed: agent, step: 0 }, config);
      if (middleOf(steps) > 0) {
        await this.#expect(second, agent, middleOf(steps));
        await second.invoke(new Command({ resume: 'yes' }), config);
      }
      await this.#expect(first, agent, steps);
    } catch (error) {
      // Where it was interrupted is not told by one kind of error.
      if (!signal.aborted) throw error;
    }
  }

  /** Reads the thread as a graph does that goes on with it. */
  async #expect(graph: AgentGraph, agent: number, steps: number): Promise<void> {
    const threadId = `demo-thread-${agent}`;
    const { values } = await graph.getState({ configurable: { thread_id: threadId } });
    const expected = messagesOf(agent, steps, this.#options);
    if (JSON.stringify(values.messages) !== JSON.stringify(expected)) this.#oracle.readWrong(threadId);
  }
}

/** Tells the oracle what it acknowledges, and how long that took. */
class WatchedSaver extends QueuedPostgresSaver {
  constructor(
    options: QueuedPostgresSaverOptions,
    private readonly oracle: GraphOracle,
    private readonly onAcknowledged: (latencyMs: number) => void,
  ) {
    super(options);
  }

  override async put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: ChannelVersions,
  ): Promise<RunnableConfig> {
    const { thread_id, checkpoint_ns = '' } = config.configurable ?? {};
    const acknowledged = this.oracle.put(thread_id, checkpoint_ns, checkpoint);
    const began = performance.now();
    const stored = await super.put(config, checkpoint, metadata, newVersions);
    this.onAcknowledged(performance.now() - began);
    acknowledged();
    return stored;
  }

  override async putWrites(
    config: RunnableConfig,
    writes: PendingWrite[],
    taskId: string,
    taskPath?: string,
  ): Promise<void> {
    const { thread_id, checkpoint_ns = '', checkpoint_id } = config.configurable ?? {};
    const acknowledged = this.oracle.putWrites(thread_id, checkpoint_ns, checkpoint_id, taskId, writes);
    const began = performance.now();
    await super.putWrites(config, writes, taskId, taskPath);
    this.onAcknowledged(performance.now() - began);
    acknowledged();
  }
}
