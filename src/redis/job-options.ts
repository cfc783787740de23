import type { JobsOptions } from 'bullmq';

/** An exception that our code did not foresee must not turn a chunk into a failed job: it is tried again, for good. */
const ATTEMPTS = 1_000_000_000;
const RETRY_DELAY_MS = 5000;

export function jobOptions(jobId: string): JobsOptions {
  return {
    jobId,
    attempts: ATTEMPTS,
    backoff: { type: 'fixed', delay: RETRY_DELAY_MS },
    removeOnComplete: true,
    removeOnFail: false,
    // The stack of a failure says nothing that its reason does not.
    stackTraceLimit: 1,
  };
}
