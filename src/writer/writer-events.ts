import type { RetentionResult } from '../retention/retention-run.js';
import type { BatchEvent } from './batch-committer.js';
import type { BreakerState, Failure } from './circuit-breaker.js';

/** What a writer tells. */
export interface WriterEvents {
  /** A batch was committed. */
  batch: [BatchEvent];
  /** A batch was not committed; it is held and tried again. */
  retry: [Failure];
  /** PostgreSQL became unavailable, or available again. */
  breaker: [BreakerState];
  /** The retention has run in this replica. */
  retention: [RetentionResult];
}

/** `ended`: its loop ended by itself, and it takes no more jobs until the process is started anew. */
export type WriterState = 'new' | 'running' | 'ended' | 'closing';
