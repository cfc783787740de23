import { comparePositions, type DeadLetterPosition, deadLetterIdOf, parseDeadLetterId } from '../chunk.js';
import type { RedisConnection } from '../redis/connection.js';
import type { DeadLetterRecord } from '../redis/dead-letter-job.js';
import {
  deadLetterIdsOfExecution,
  deadLettersBySequence,
  readDeadLetters,
} from '../redis/dead-letter-queue.js';
import { deadLetterKeys, type QueueKeys } from '../redis/queue-keys.js';
import { askWithin } from '../redis/retry.js';
import { type DeadLetterFilter, isEmpty, matcherOf } from './dead-letter-filter.js';

const TIMEOUT_MS = 5000;
const DOING = 'reading the dead letters';
/** Dead letters in memory at once, at most. */
const MAX_PAGE = 1000;

/**
 * Reads dead letters in the order of their sequences, a page at a time: what is removed or added meanwhile makes no other be
 * missed or come twice. All throw QueueUnavailableError without Redis.
 */
export class DeadLetterReader {
  readonly #dead: QueueKeys;

  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: QueueKeys,
  ) {
    this.#dead = deadLetterKeys(keys);
  }

  /** @param after where to go on. @param pageSize how many will be wanted, about */
  async *letters(
    filter: DeadLetterFilter,
    { after, pageSize = MAX_PAGE }: { after?: DeadLetterPosition | undefined; pageSize?: number } = {},
  ): AsyncGenerator<DeadLetterRecord> {
    const matches = matcherOf(filter);
    for await (const ids of this.#pages(filter, after, Math.min(MAX_PAGE, pageSize))) {
      const letters = await this.#ask(() => readDeadLetters(this.connection.client, this.keys, ids));
      for (const letter of letters) if (matches(letter.job)) yield letter;
    }
  }

  /** @see resolve */
  async get(deadLetterId: string): Promise<DeadLetterRecord | undefined> {
    return (await this.resolve([deadLetterId])).get(deadLetterId);
  }

  /**
   * The dead letters that ids name, by these ids. Each replay that is refused again gives the dead letter another id; the ids that it
   * had before go on naming it.
   */
  async resolve(deadLetterIds: readonly string[]): Promise<Map<string, DeadLetterRecord>> {
    const ids = deadLetterIds.filter(parseDeadLetterId);
    const named = await this.#ask(() => readDeadLetters(this.connection.client, this.keys, ids));
    const found = new Map(named.map((letter) => [letter.deadLetterId, letter]));
    const former = parsed(ids.filter((id) => !found.has(id)));
    if (former.length === 0) return found;
    const ranges = former.map(({ sequence }) => ({ first: sequence, last: sequence }));
    const later = await this.#ask(() => deadLettersBySequence(this.connection.client, this.keys, ranges));
    for (const position of former) {
      const [newest] = later
        .filter(({ job }) => job.sequence === position.sequence && job.replays > position.replays)
        .sort((a, b) => b.job.replays - a.job.replays);
      if (newest) found.set(idOf(position), newest);
    }
    return found;
  }

  /** The chunk of its one record; null where it is gone. */
  payload(deadLetterId: string): Promise<Buffer | null> {
    const { payloadPrefix } = this.#dead;
    return this.#ask(() => this.connection.client.getBuffer(payloadPrefix + deadLetterId));
  }

  async count(filter: DeadLetterFilter): Promise<number> {
    if (isEmpty(filter)) return this.#ask(() => this.connection.client.zcard(this.#dead.chunks));
    let count = 0;
    for await (const _ of this.letters(filter)) count++;
    return count;
  }

  async *#pages(
    { executionId }: DeadLetterFilter,
    after: DeadLetterPosition | undefined,
    pageSize: number,
  ): AsyncGenerator<string[]> {
    if (executionId === undefined) return yield* this.#pagesOfAll(after, pageSize);
    const ids = await this.#ask(() =>
      deadLetterIdsOfExecution(this.connection.client, this.keys, executionId),
    );
    const inOrder = ordered(ids, after);
    for (let from = 0; from < inOrder.length; from += pageSize) {
      yield inOrder.slice(from, from + pageSize).map(idOf);
    }
  }

  /** By the index. Members of one sequence are in no order there, so that a page ends only where a sequence does. */
  async *#pagesOfAll(after: DeadLetterPosition | undefined, pageSize: number): AsyncGenerator<string[]> {
    let from = after ? String(after.sequence) : '-inf';
    for (;;) {
      // `after` is not wanted again, and the last sequence may be cut short.
      const size = pageSize + 2;
      const found = await this.#ask(() => this.#range(from, '+inf', size));
      const last = parsed(found).at(-1)?.sequence;
      if (last === undefined) return;
      let page = ordered(found, after);
      if (found.length === size) {
        const whole = page.filter(({ sequence }) => sequence < last);
        page = whole.length > 0 ? whole : ordered(await this.#ask(() => this.#range(last, last)), after);
      }
      if (page.length > 0) yield page.map(idOf);
      if (found.length < size) return;
      from = `(${page.at(-1)?.sequence ?? last}`;
    }
  }

  #range(from: string | number, to: string | number, limit = -1): Promise<string[]> {
    return this.connection.client.zrangebyscore(this.#dead.chunks, from, to, 'LIMIT', 0, limit);
  }

  #ask<T>(work: () => Promise<T>): Promise<T> {
    return askWithin(TIMEOUT_MS, work, DOING);
  }
}

function parsed(ids: readonly string[]): DeadLetterPosition[] {
  return ids.flatMap((id) => parseDeadLetterId(id) ?? []);
}

function ordered(ids: readonly string[], after?: DeadLetterPosition): DeadLetterPosition[] {
  const positions = parsed(ids).sort(comparePositions);
  return after ? positions.filter((position) => comparePositions(position, after) > 0) : positions;
}

function idOf({ sequence, replays }: DeadLetterPosition): string {
  return deadLetterIdOf(sequence, replays);
}
