import type { Cluster, Redis } from 'ioredis';
import { QueueUnavailableError } from '../errors.js';
import { Gathered } from '../gathered.js';
import type { QueueKeys } from './queue-keys.js';

/**
 * Redis is to say how far it came before nobody waits for it any more. Where nothing else wakes it, it sees ten times a second who has
 * waited long enough (`hz`).
 */
const MARGIN_MS = 200;
/**
 * A connection stands still while Redis waits: so long at most, then comes what others have sent behind it, and a wait for the rest of the
 * time. Far above the way to a replica and back, for each wait is for all that has been written until then.
 */
const LONGEST_WAIT_MS = 1000;

/** Replicas of Redis that are to have what is written over a connection. Those who wait for them wait together. */
export class Replicas {
  /** One wait at a time: several on one connection follow each other, and the last would end long after its deadline. */
  readonly #waits = new Gathered<number, number>((deadlines) => this.#wait(deadlines));

  constructor(
    private readonly client: Redis | Cluster,
    private readonly keys: QueueKeys,
    private readonly count: number,
  ) {}

  /**
   * Resolves when so many have confirmed all that was written before over this connection. If that one was lost meanwhile it means
   * nothing: ask its epoch.
   * @param deadline in the milliseconds of `performance.now()`
   * @throws QueueUnavailableError where they are too few
   */
  async confirm(deadline: number): Promise<void> {
    for (;;) {
      const confirmed = await this.#waits.ask(deadline);
      if (confirmed >= this.count) return;
      if (performance.now() + MARGIN_MS >= deadline) {
        const message = `Redis has it, but only ${confirmed} of ${this.count} replicas have confirmed it in time`;
        throw new QueueUnavailableError(message, { refused: true });
      }
    }
  }

  async #wait(deadlines: readonly number[]): Promise<number[]> {
    const left = Math.min(...deadlines) - performance.now() - MARGIN_MS;
    // 0 would be for ever.
    const timeoutMs = Math.max(1, Math.floor(Math.min(left, LONGEST_WAIT_MS)));
    // WAIT names no key: the one before it leads a Cluster to the queue's master, and the connection over which the writes went.
    const pipeline = this.client.pipeline().exists(this.keys.sequence).wait(this.count, timeoutMs);
    const replies = (await pipeline.exec()) ?? [];
    for (const [error] of replies) if (error) throw error;
    const confirmed = Number(replies[1]?.[1]);
    return deadlines.map(() => confirmed);
  }
}
