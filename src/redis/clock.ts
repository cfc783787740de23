import type { Cluster, Redis } from 'ioredis';

/** A reply that took longer, because Redis was away for instance, says little. */
const MAX_ROUND_TRIP_MS = 250;

/**
 * Redis' clock, by which sequences are numbered, without asking it each time: off by half a round trip at most, and by what both
 * clocks have drifted since it was last adjusted. Until then it is this machine's own.
 */
export class RedisClock {
  /** Redis' time when this process' monotonic clock stood at 0; microseconds. */
  #originUs = performance.timeOrigin * 1000;

  constructor(private readonly client: Redis | Cluster) {}

  /** Microseconds since 1970. */
  nowUs(): number {
    return this.#originUs + performance.now() * 1000;
  }

  /** Asks Redis. Where the reply comes late, all stays as it was. */
  async adjust(): Promise<void> {
    const asked = performance.now();
    const [seconds, microseconds] = await this.client.time();
    const answered = performance.now();
    if (answered - asked > MAX_ROUND_TRIP_MS) return;
    const halfway = (asked + answered) / 2;
    this.#originUs = Number(seconds) * 1_000_000 + Number(microseconds) - halfway * 1000;
  }
}
