import { QueuedCheckpointStore } from '../../store/queued-store.js';
import type { DemoLoad, Verification } from './demo-load.js';
import type { DemoPlace, DemoServices } from './demo-place.js';
import { type Acknowledged, Oracle } from './oracle.js';
import type { AgentRun } from './workload.js';

/** Agents that save after every step to one store, and go on when the save is acknowledged. */
export class StoreLoad implements DemoLoad {
  readonly agents: number;
  readonly saves: number;
  readonly workerSettings: NodeJS.ProcessEnv;
  readonly #runs: readonly AgentRun[];
  readonly #store: QueuedCheckpointStore;
  readonly #oracle = new Oracle();

  constructor(runs: readonly AgentRun[], { databaseUrl, redisUrl }: DemoServices, place: DemoPlace) {
    this.#runs = runs;
    this.agents = runs.length;
    this.saves = runs.reduce((sum, { saves }) => sum + saves, 0);
    this.workerSettings = { CKPT_SCHEMA: place.schema, CKPT_TABLE: '' };
    this.#store = new QueuedCheckpointStore({
      redis: redisUrl,
      postgres: databaseUrl,
      ...place,
      onQueueFull: 'wait',
    });
  }

  get executions(): number {
    return this.#oracle.executions;
  }

  prepare(): Promise<void> {
    return this.#store.initSchema();
  }

  async run(acknowledged: (latencyMs: number) => void, signal: AbortSignal): Promise<void> {
    await Promise.all(this.#runs.map((run) => this.#runAgent(run, acknowledged, signal)));
  }

  flush(): Promise<void> {
    return this.#store.flush();
  }

  verify(onExecution: () => void, signal: AbortSignal): Promise<Verification> {
    return this.#oracle.verify(this.#store, onExecution, signal);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async #runAgent(
    run: AgentRun,
    acknowledged: (latencyMs: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    for (const step of run.steps()) {
      if (signal.aborted) return;
      const began = performance.now();
      await this.#store.save(step);
      acknowledged(performance.now() - began);
      this.#oracle.acknowledged(step as Acknowledged);
    }
  }
}
