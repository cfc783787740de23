import { DeadLetteredError } from '../errors.js';
import type { RedisConnection } from '../redis/connection.js';
import type { DeadLetterJob } from '../redis/dead-letter-job.js';
import {
  type DeadLetterRecord,
  deadLettersBySequence,
  deadLettersOfExecution,
  type SequenceRange,
} from '../redis/dead-letter-queue.js';
import { withDeadline } from '../redis/deadline.js';
import type { QueueKeys } from '../redis/queue-keys.js';
import { retryUntil } from '../redis/retry.js';

const TIMEOUT_MS = 5000;
const DOING = 'reading the dead letters';

/** Finds the dead letters among what the stores of one sink have saved. All throw QueueUnavailableError without Redis. */
export class DeadLetterLookup {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: QueueKeys,
    /** Another sink's records may have the same sequence range, or an execution of the same name. */
    private readonly sink: Pick<DeadLetterJob, 'target'> & { readonly name: string },
  ) {}

  bySequence(ranges: readonly SequenceRange[]): Promise<DeadLetterRecord[]> {
    return this.#read(() => deadLettersBySequence(this.connection.client, this.keys, ranges));
  }

  /** Those of an execution with a sequence above the given one. */
  ofExecution(executionId: string, above = 0): Promise<DeadLetterRecord[]> {
    return this.#read(() => deadLettersOfExecution(this.connection.client, this.keys, executionId, above));
  }

  async #read(read: () => Promise<DeadLetterRecord[]>): Promise<DeadLetterRecord[]> {
    const deadline = performance.now() + TIMEOUT_MS;
    const letters = await retryUntil(
      () => deadline,
      () => withDeadline(deadline, read(), DOING),
      DOING,
    );
    const { name, target } = this.sink;
    return letters.filter(({ job }) => job.sink === name && job.target === target);
  }
}

export function deadLettered({ deadLetterId, job }: DeadLetterRecord): DeadLetteredError {
  return new DeadLetteredError({ ...job, deadLetterId });
}
