import type { Cluster, Redis } from 'ioredis';
import type { QueueKeys } from './queue-keys.js';
import { Script } from './script.js';

/** A reply that took longer, because Redis was away for instance, says little. */
const MAX_ROUND_TRIP_MS = 250;

/** Of the node that has the key: the one that gives out the sequences. A plain TIME would be any node's. */
const TIME = new Script(`
  local time = redis.call('TIME')
  return string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]))`);

/** Redis' clock, by which sequences are numbered; microseconds since 1970. */
export async function redisTimeUs(client: Redis | Cluster, { sequence }: QueueKeys): Promise<number> {
  return Number(await TIME.run(client, [sequence], []));
}

/**
 * Redis' clock, by which sequences are numbered, without asking it each time: off by half a round trip at most, and by what both
 * clocks have drifted since it was last adjusted. Until then it is this machine's own.
 */
export class RedisClock {
  /** Redis' time when this process' monotonic clock stood at 0; microseconds. */
  #originUs = performance.timeOrigin * 1000;
  #adjusted = false;

  constructor(
    private readonly client: Redis | Cluster,
    private readonly keys: QueueKeys,
  ) {}

  /** Whether Redis was asked: until then, this machine's clock may be years off. */
  get adjusted(): boolean {
    return this.#adjusted;
  }

  /** Microseconds since 1970. */
  nowUs(): number {
    return this.#originUs + performance.now() * 1000;
  }

  /** Asks Redis. Where the reply comes late, all stays as it was. */
  async adjust(): Promise<void> {
    const asked = performance.now();
    const timeUs = await redisTimeUs(this.client, this.keys);
    const answered = performance.now();
    if (answered - asked > MAX_ROUND_TRIP_MS) return;
    const halfway = (asked + answered) / 2;
    this.#originUs = timeUs - halfway * 1000;
    this.#adjusted = true;
  }
}
