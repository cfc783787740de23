import { DeadLetteredError } from '../errors.js';
import type { RedisConnection } from '../redis/connection.js';
import {
  type DeadLetterRecord,
  deadLetterIdsBySequence,
  deadLetterIdsOfExecution,
  readDeadLetters,
  type SequenceRange,
} from '../redis/dead-letter-queue.js';
import { deadLetterKeys, destinationOf, isSameDestination, type QueueKeys } from '../redis/queue-keys.js';
import { askWithin } from '../redis/retry.js';
import { PLACE_BYTES, placeOfRow, type RowPlace } from '../writer/checkpoint-row.js';
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

  ofExecution(executionId: string): Promise<DeadLetterRecord[]> {
    const { client } = this.connection;
    return this.#read(() => deadLetterIdsOfExecution(client, this.keys, executionId, this.#destination));
  }

  /** Of checkpoints: where each stands among the saves of its id and its execution. In the order given. */
  async places(letters: readonly DeadLetterRecord[]): Promise<RowPlace[]> {
    const { payloadPrefix } = deadLetterKeys(this.keys);
    const read = async () => {
      const pipeline = this.connection.client.pipeline();
      for (const { deadLetterId } of letters) {
        pipeline.getrangeBuffer(payloadPrefix + deadLetterId, -PLACE_BYTES, -1);
      }
      return (await pipeline.exec()) ?? [];
    };
    const replies = await askWithin(TIMEOUT_MS, read, DOING);
    return letters.map((_, index) => placeIn(replies[index]?.[1]));
  }

  get #destination() {
    return destinationOf(this.sink);
  }

  async #read(findIds: () => Promise<string[]>): Promise<DeadLetterRecord[]> {
    const read = async () => {
      const ids = await findIds();
      const letters = await readDeadLetters(this.connection.client, this.keys, ids);
      const known = new Set(letters.map(({ deadLetterId }) => deadLetterId));
      return [...letters, ...(await this.#withoutJob(ids.filter((id) => !known.has(id))))];
    };
    const letters = await askWithin(TIMEOUT_MS, read, DOING);
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

/** Of one whose payload is lost, nothing says that it is old. */
const UNKNOWN_PLACE: RowPlace = { timestamp: Number.POSITIVE_INFINITY, version: Number.POSITIVE_INFINITY };

function placeIn(end: unknown): RowPlace {
  if (!Buffer.isBuffer(end) || end.length < PLACE_BYTES) return UNKNOWN_PLACE;
  const { timestamp, version } = placeOfRow(end);
  // Out of the range of dates, as one that nobody but a forger writes.
  return { version, timestamp: Number.isNaN(timestamp) ? UNKNOWN_PLACE.timestamp : timestamp };
}

export function deadLettered({ deadLetterId, job }: DeadLetterRecord): DeadLetteredError {
  return new DeadLetteredError({ ...job, deadLetterId });
}
