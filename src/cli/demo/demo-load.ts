export interface Verification {
  /** What was acknowledged and is not stored. */
  missing: number;
  /** What is stored otherwise than it was saved last, or that nobody saved. */
  stale: number;
  /** Threads of graphs that are whole, and those of which something is missing or stale. */
  threadsRight?: number;
  threadsWrong?: number;
}

/** What the agents of a demonstration do, and how it is found out that all of it is stored. */
export interface DemoLoad {
  readonly agents: number;
  /** What the agents save in all. */
  readonly saves: number;
  /** Settings of the workers that commit it. */
  readonly workerSettings: NodeJS.ProcessEnv;
  /** Creates the tables. */
  prepare(): Promise<void>;
  /** Runs all agents at once, to their end or until the signal; each save is told when it is acknowledged. */
  run(acknowledged: (latencyMs: number) => void, signal: AbortSignal): Promise<void>;
  /** Resolves when all that was acknowledged is committed. */
  flush(): Promise<void>;
  /** Executions to read back: those of which anything was acknowledged. */
  readonly executions: number;
  /** Reads every execution back and compares. Calls `onExecution` after each. */
  verify(onExecution: () => void, signal: AbortSignal): Promise<Verification>;
  close(): Promise<void>;
}
