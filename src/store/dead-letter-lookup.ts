import { parseDeadLetterId } from '../chunk.js';
import { DeadLetteredError } from '../errors.js';
import type { RedisConnection } from '../redis/connection.js';
import {
  type DeadLetterRecord,
  deadLetterIdsBySequence,
  deadLetterIdsOfExecution,
  readDeadLetters,
  type SequenceRange,
} from '../redis/dead-letter-queue.js';
import { withDeadline } from '../redis/deadline.js';
import { deadLetterKeys, destinationOf, isSameDestination, type QueueKeys } from '../redis/queue-keys.js';
import { retryUntil } from '../redis/retry.js';
import { type RecordReader, rebuiltLetter } from '../writer/rebuilt-letter.js';

const TIMEOUT_MS = 5000;
const DOING = 'reading the dead letters';

/** Finds the dead letters among what the stores of one sink have saved. All throw QueueUnavailableError without Redis. */
export class DeadLetterLookup {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: QueueKeys,
    /** Another sink's records may have the same sequence range, or an execution of the same name. */
    private readonly sink: RecordReader & { readonly target: string },
  ) {}

  bySequence(ranges: readonly SequenceRange[]): Promise<DeadLetterRecord[]> {
    return this.#read(() => deadLetterIdsBySequence(this.connection.client, this.keys, ranges));
  }

  /** Those of an execution with a sequence above the given one. */
  ofExecution(executionId: string, above = 0): Promise<DeadLetterRecord[]> {
    return this.#read(async () => {
      const { client } = this.connection;
      const ids = await deadLetterIdsOfExecution(client, this.keys, executionId, this.#destination);
      return ids.filter((id) => (parseDeadLetterId(id)?.sequence ?? 0) > above);
    });
  }

  get #destination() {
    return destinationOf(this.sink);
  }

  async #read(findIds: () => Promise<string[]>): Promise<DeadLetterRecord[]> {
    const deadline = performance.now() + TIMEOUT_MS;
    const read = async () => {
      const ids = await findIds();
      const letters = await readDeadLetters(this.connection.client, this.keys, ids);
      const known = new Set(letters.map(({ deadLetterId }) => deadLetterId));
      return [...letters, ...(await this.#withoutJob(ids.filter((id) => !known.has(id))))];
    };
    const letters = await retryUntil(
      () => deadline,
      () => withDeadline(deadline, read(), DOING),
      DOING,
    );
    return letters.filter(({ job }) => isSameDestination(job, this.#destination));
  }

  /** Dead letters whose jobs somebody has removed by BullMQ's own means are none the less refused, until a worker has made them anew. */
  async #withoutJob(ids: readonly string[]): Promise<DeadLetterRecord[]> {
    const { payloadPrefix } = deadLetterKeys(this.keys);
    const letters: DeadLetterRecord[] = [];
    for (const deadLetterId of ids) {
      const payload = await this.connection.client.getBuffer(payloadPrefix + deadLetterId);
      const job = payload && this.#rebuilt(deadLetterId, payload);
      if (job) letters.push({ deadLetterId, job });
    }
    return letters;
  }

  #rebuilt(deadLetterId: string, payload: Buffer): DeadLetterRecord['job'] | undefined {
    try {
      return rebuiltLetter(deadLetterId, payload, this.sink, this.sink.target);
    } catch {
      return undefined; // it is of another sink
    }
  }
}

export function deadLettered({ deadLetterId, job }: DeadLetterRecord): DeadLetteredError {
  return new DeadLetteredError({ ...job, deadLetterId });
}
