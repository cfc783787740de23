/** How long and how much is measured. A round runs every subject once for every kind of state. */
export interface Plan {
  /** Rounds; each figure is the median over them. A later round is left out if it would exceed the budget. */
  readonly rounds: number;
  /** Seconds in which no further part of a round of the contenders begins unless it is expected to end within them. */
  readonly budgetSeconds: number;
  /** Milliseconds that savers save, before the queue is drained. */
  readonly windowMs: number;
  readonly warmUpMs: number;
  /** Records, and bytes of states, that a full queue holds, or the ceiling writes, at most. */
  readonly drainRecords: number;
  readonly drainBytes: number;
  /** Jobs of one save each that a full queue holds. */
  readonly drainJobs: number;
  /** Rounds of the scenarios, which measure again and again within one. */
  readonly scenarioRounds: number;
  /** Windows with clears; before, between and after them is one without. */
  readonly clearWindows: number;
  readonly clearWindowMs: number;
  /** Reads of each kind. */
  readonly reads: number;
  /** Windows with one replica, and with several, in turn; records that the queue holds, for those of small batches and for those of the defaults. */
  readonly replicaWindows: number;
  readonly replicaWindowMs: number;
  readonly smallBatchesRecords: number;
  readonly defaultsRecords: number;
  /** Rows of the large table, and windows with it; before each is one with an empty table. */
  readonly largeRows: number;
  readonly largeWindows: number;
  readonly largeWindowMs: number;
  /** Rounds of the checkpointers, whatever the budget; the calls of each before they count; how often all threads run a graph. */
  readonly graphRounds: number;
  readonly graphWarmUpCalls: number;
  readonly graphRuns: number;
}

/** Rows of a large table, unless told otherwise. */
export const LARGE_ROWS = 10_000_000;

/** Agents that each wait for their save before they go on. */
export const SAVERS = 64;
/** Saves under way at once when nobody waits for his own. */
export const SAVES_IN_FLIGHT = 2000;
/** Connections of the contenders that write each save by itself. */
export const POOL_SIZE = 16;
/** Clears a second, beside as many saves as `SAVES_IN_FLIGHT`. */
export const CLEARS_PER_SECOND = 50;
/** Executions that the saves are spread over. */
export const EXECUTIONS = 64;

const MIB = 1024 * 1024;

/** Under four minutes in all, with three kinds of states. */
export const QUICK: Plan = Object.freeze({
  rounds: 2,
  budgetSeconds: 148,
  windowMs: 1200,
  warmUpMs: 300,
  drainRecords: 60_000,
  drainBytes: 128 * MIB,
  drainJobs: 5000,
  scenarioRounds: 1,
  clearWindows: 5,
  clearWindowMs: 1200,
  reads: 1500,
  replicaWindows: 2,
  replicaWindowMs: 2000,
  smallBatchesRecords: 40_000,
  defaultsRecords: 120_000,
  largeRows: LARGE_ROWS,
  largeWindows: 5,
  largeWindowMs: 4000,
  graphRounds: 2,
  graphWarmUpCalls: 2000,
  graphRuns: 3,
});

export const FULL: Plan = Object.freeze({
  rounds: 5,
  budgetSeconds: Number.POSITIVE_INFINITY,
  windowMs: 10_000,
  warmUpMs: 1000,
  drainRecords: 200_000,
  drainBytes: 512 * MIB,
  drainJobs: 40_000,
  scenarioRounds: 3,
  clearWindows: 5,
  clearWindowMs: 5000,
  reads: 10_000,
  replicaWindows: 5,
  replicaWindowMs: 5000,
  smallBatchesRecords: 100_000,
  defaultsRecords: 300_000,
  largeRows: LARGE_ROWS,
  largeWindows: 9,
  largeWindowMs: 10_000,
  graphRounds: 3,
  graphWarmUpCalls: 10_000,
  graphRuns: 5,
});

/** How many records a full queue holds, and the ceiling writes. */
export function queueRecords(
  { drainRecords, drainBytes }: Plan,
  { meanBytes }: { meanBytes: number },
): number {
  return Math.min(drainRecords, Math.floor(drainBytes / meanBytes));
}
