/** The public exports of `checkpoint-queue/langgraph`, nothing else. */
export type { WaitOptions } from '../store/wait-limit.js';
export { type LangGraphSinkOptions, langGraphSink } from './graph-sink.js';
export { QueuedPostgresSaver } from './queued-postgres-saver.js';
export type { QueuedPostgresSaverOptions } from './saver-options.js';
export type { CopyResult, ListThreadsOptions, PruneOptions, PruneResult, ThreadSummary } from './threads.js';
