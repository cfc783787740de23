import type { RedisConnection } from '../redis/connection.js';
import { withDeadline } from '../redis/deadline.js';
import type { QueueKeys } from '../redis/queue-keys.js';
import { retryUntil } from '../redis/retry.js';
import { nextSequence, raiseSequence } from '../redis/sequence.js';
import { CallOrder } from './call-order.js';

/**
 * The sequences of one producer: drawn from Redis, in the order of the calls, and above all that it has seen. Deadlines are in the
 * milliseconds of `performance.now()`.
 */
export class SequenceClock {
  readonly #order = new CallOrder();
  #last = 0;
  /** Redis' time when this process' monotonic clock stood at 0, in microseconds; undefined before the first reply. */
  #originUs: number | undefined;

  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: QueueKeys,
  ) {}

  /** The highest sequence that this producer has seen; 0 before the first. */
  get last(): number {
    return this.#last;
  }

  /** A direct write was numbered by PostgreSQL's clock, which may be ahead: what is saved next must be newer. */
  observe(sequence: number): void {
    this.#last = Math.max(this.#last, sequence);
  }

  /** Redis has just answered, when its clock was at this time or before; microseconds. */
  sawRedisTime(timeUs: number): void {
    this.#originUs = timeUs - performance.now() * 1000;
  }

  /**
   * What Redis' clock shows at a time of `performance.now()`; microseconds, 0 before anything is known. Too high while sequences are ahead
   * of Redis' clock.
   */
  redisTimeAt(ms: number): number {
    return this.#originUs === undefined ? 0 : this.#originUs + ms * 1000;
  }

  /**
   * Numbers an operation that is called now above all that were called before it.
   * @param draw called again where an earlier operation got a higher number
   */
  inOrder(draw: () => Promise<number>): Promise<number> {
    return this.#order.number(draw);
  }

  /** @throws QueueUnavailableError at the deadline; SequenceOutOfRangeError */
  async next(deadline: number): Promise<number> {
    const { connection, keys } = this;
    const draw = () =>
      withDeadline(deadline, nextSequence(connection.client, keys, this.#last), 'taking a sequence');
    const sequence = await retryUntil(() => deadline, draw, 'taking a sequence');
    this.observe(sequence);
    return sequence;
  }

  /** Makes all later sequences, of every producer, higher than this one. @throws as `next` */
  async raise(above: number, deadline: number): Promise<void> {
    const { connection, keys } = this;
    const raise = () =>
      withDeadline(deadline, raiseSequence(connection.client, keys, above), 'raising the sequence');
    await retryUntil(() => deadline, raise, 'raising the sequence');
  }
}
