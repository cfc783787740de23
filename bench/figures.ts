/** What is measured of a contender, or of the pipeline in a scenario; absent where it does not apply. */
export interface Figures {
  /** Saves a second with 64 savers that each wait for their save, all of them committed in the end. */
  awaited?: number;
  /** The same with 2000 saves in flight, as when nobody waits for his own. */
  unawaited?: number;
  /** Milliseconds from save to acknowledgement with 64 savers. */
  p50Ms?: number;
  p99Ms?: number;
  /** Saves a second that a worker commits from a full queue, while nobody saves. */
  drain?: number;
  /** Peak resident memory of the worker process, in bytes. */
  workerRss?: number;

  /** Saves a second with 2000 in flight, in the windows without clears and in those with them. */
  withoutClears?: number;
  besideClears?: number;
  /** Of a window with clears to its neighbours without: the machine's moods are in both. */
  clearsRatio?: number;
  /** Clears that PostgreSQL did not take in time. */
  clearsFailed?: number;
  /** Milliseconds from when a clear was due until it returned. */
  clearP50Ms?: number;
  clearP99Ms?: number;

  /** Milliseconds of a read by `latest`, of what is committed and of what is acknowledged. */
  committedReadP50Ms?: number;
  committedReadP99Ms?: number;
  latestReadP50Ms?: number;
  latestReadP99Ms?: number;
  /** What asking for the latest adds at the median, in milliseconds. */
  latestCostMs?: number;

  /** Rows of the large table; saves a second with 2000 in flight, to an empty table and to it, plain and partitioned by month. */
  largeRows?: number;
  emptyPlain?: number;
  largePlain?: number;
  /** Of a window with the large table to the one before. */
  largePlainRatio?: number;
  emptyPartitioned?: number;
  largePartitioned?: number;
  largePartitionedRatio?: number;
  /** Records a second that one replica and four commit of a full queue with PostgreSQL 10 ms away: in small batches, one at a time. */
  smallBatchesOne?: number;
  smallBatchesFour?: number;
  smallBatchesRatio?: number;
  /** The same with all defaults. */
  defaultsOne?: number;
  defaultsFour?: number;
  defaultsRatio?: number;

  /** Calls of `put` and `putWrites` a second with 64 threads: acknowledged, and from the first to the last one's commit. */
  callsAcknowledged?: number;
  callsCommitted?: number;
  /** Milliseconds from call to acknowledgement. */
  callP50Ms?: number;
  callP99Ms?: number;
  /** Milliseconds of 64 whole runs of a graph at once: until the last one returned, and until all of it is committed. */
  runsMs?: number;
  runsCommittedMs?: number;
}
