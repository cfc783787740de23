export type { Checkpoint, CheckpointInput, JsonObject, JsonValue } from './checkpoint.js';
export type { CloseOptions } from './close-options.js';
export type { DeadLetter, DeadLetterPayload } from './dead-letters/dead-letter.js';
export type { DeadLetterFilter, DeadLetterSelection } from './dead-letters/dead-letter-filter.js';
export type { DeadLetterLine } from './dead-letters/dead-letter-lines.js';
export { DeadLetters } from './dead-letters/dead-letters.js';
export type {
  DeadLettersOptions,
  GetDeadLetterOptions,
  ListDeadLettersOptions,
  PurgeOptions,
} from './dead-letters/dead-letters-options.js';
export type { ImportResult } from './dead-letters/import-lines.js';
export type {
  ReplayOptions,
  ReplayOutcome,
  ReplayProgress,
  ReplayResult,
  ReplayWaitOptions,
} from './dead-letters/replay-options.js';
export type { DrainProblem } from './drain-problem.js';
export {
  BackpressureError,
  CheckpointNotFoundError,
  CheckpointQueueError,
  ClosedError,
  DatabaseError,
  DeadLetterBusyError,
  DeadLetteredError,
  DeadLetterNotFoundError,
  InvalidCheckpointError,
  InvalidChunkError,
  InvalidConfigError,
  InvalidDeadLetterError,
  InvalidFilterError,
  MisroutedChunkError,
  PendingWritesTimeoutError,
  QueueUnavailableError,
  RedisAccessError,
  SaveLostError,
  SchemaMismatchError,
  SequenceOutOfRangeError,
  StateMismatchError,
  VersionConflictError,
  WriteRefusedError,
} from './errors.js';
export { HttpListenError } from './http/listen-error.js';
export type { Logger } from './logger.js';
export type { PoolUse } from './postgres/database.js';
export type { Period } from './postgres/identifiers.js';
export type { DroppedPartitions } from './postgres/partitions.js';
export type {
  PgClient,
  PgPool,
  PgPoolConfig,
  PgQuery,
  PgResult,
  PgSubmittable,
  PostgresOption,
} from './postgres/pg-types.js';
export type { ProducerLimits } from './producer/limits.js';
export { CheckpointRecorder, type Resumed } from './recorder/checkpoint-recorder.js';
export type { BackgroundFailure, CheckpointRecorderOptions } from './recorder/recorder-options.js';
export type { StateSchema } from './recorder/state-schema.js';
export type { RedisOption } from './redis/connection.js';
export type { PruneOptions, PruneProgress, PruneResult } from './retention/prune-options.js';
export type { RetentionOptions } from './retention/retention-options.js';
export type { RetentionResult } from './retention/retention-run.js';
export type {
  CheckpointStore,
  CommitOutcome,
  ListOptions,
  ReadOptions,
  SaveBatchOptions,
  SaveOptions,
  SaveReceipt,
} from './store/checkpoint-store.js';
export type { EmbeddedWriterOptions } from './store/embedded-writer.js';
export { MemoryCheckpointStore } from './store/memory-store.js';
export { PostgresCheckpointStore, type PostgresCheckpointStoreOptions } from './store/postgres-store.js';
export type { QueuedCheckpointStoreOptions } from './store/queued-options.js';
export { QueuedCheckpointStore } from './store/queued-store.js';
export type { WaitOptions } from './store/wait-limit.js';
export type { BatchEvent, CommitLag, WriterStats } from './writer/batch-committer.js';
export { CheckpointWriter } from './writer/checkpoint-writer.js';
export type { BreakerState, Failure as RetryEvent } from './writer/circuit-breaker.js';
export type { PipelineOptions } from './writer/pipeline-options.js';
export type { BatchOutcome, RecordIdentity, Sink, StagedRecords, WriteRecord } from './writer/sink.js';
export type { WriterEvents, WriterState } from './writer/writer-events.js';
export type { CheckpointWriterOptions } from './writer/writer-options.js';
