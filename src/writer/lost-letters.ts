import type { Cluster, Redis } from 'ioredis';
import { decodeHeader } from '../chunk.js';
import { InvalidChunkError } from '../errors.js';
import type { Logger } from '../logger.js';
import type { DeadLetterJob, DeadLetterQueue } from '../redis/dead-letter-queue.js';
import { destinationsOf } from '../redis/lost-jobs.js';
import { readersOf } from './lost-chunks.js';
import { rebuiltLetter } from './rebuilt-letter.js';
import type { Sink } from './sink.js';

/** Makes the jobs of dead letters anew; what they said beyond the record is lost. */
export class LostLetters {
  constructor(
    private readonly client: Redis | Cluster,
    private readonly letters: DeadLetterQueue,
    private readonly sinks: readonly Sink[],
    private readonly logger: Logger,
  ) {}

  /** @returns those that no sink of this worker can read */
  async bringBack(deadLetterIds: readonly string[]): Promise<string[]> {
    const left: string[] = [];
    let rebuilt = 0;
    for (const deadLetterId of deadLetterIds) {
      const job = await this.#rebuilt(deadLetterId);
      if (!job) left.push(deadLetterId);
      else if (await this.letters.addJob(job)) rebuilt++;
    }
    if (rebuilt > 0) {
      this.logger.warn({ rebuilt }, 'dead letters were missing whose records are there; they are made anew');
    }
    if (left.length > 0) {
      this.logger.error(
        { deadLetters: left.length, deadLetterId: left[0] },
        'dead letters have lost their jobs, and this worker cannot read their records; they are kept',
      );
    }
    return left;
  }

  async #rebuilt(deadLetterId: string): Promise<DeadLetterJob | undefined> {
    const { keys } = this.letters;
    const payload = await this.client.getBuffer(keys.payloadPrefix + deadLetterId);
    if (!payload) return undefined;
    try {
      const [executionId] = decodeHeader(payload).executions;
      const marked = [{ jobId: deadLetterId, executionId }];
      const destination = (await destinationsOf(this.client, keys, marked)).get(deadLetterId);
      // The mark of an earlier release does not say what the record is for: the one sink that can read it.
      const [sink, ...others] = destination
        ? this.sinks.filter(({ name }) => name === destination.sink)
        : readersOf(payload, this.sinks);
      if (!sink || others.length > 0) return undefined;
      return rebuiltLetter(deadLetterId, payload, sink, destination?.target ?? sink.target);
    } catch (error) {
      if (error instanceof InvalidChunkError) return undefined;
      throw error;
    }
  }
}
