import type { Database } from '../postgres/database.js';
import { CLOCK } from '../postgres/tombstones.js';

/** How much Redis' clock is ahead of PostgreSQL's, and when; microseconds. */
export interface MeasuredOffset {
  /** Never more than the true one, so that a translated time is never too late. Negative where PostgreSQL's clock is ahead. */
  readonly offsetUs: number;
  /** Redis' clock at that moment. */
  readonly redisTimeUs: number;
}

/** Clocks drift: by 0.1 ms in this time, or by 5 ms where one is being slewed. */
const MAX_AGE_MS = 10_000;
/** Taken off for the drift. */
const DRIFT_US = 1000;
/** The best of these counts: the error of one is its two round trips. */
const ROUNDS = 3;

/**
 * Translates times of PostgreSQL's clock into sequences, which are times of Redis' clock. A plain store has no Redis: its deletes
 * are numbered by PostgreSQL's clock, and must not stop a later save because that clock is ahead.
 *
 * Redis is asked first, PostgreSQL second: what Redis said is at most what its clock shows when PostgreSQL answers.
 */
export class ClockOffset {
  #measured: MeasuredOffset | undefined;
  #measuredAt = Number.NEGATIVE_INFINITY;
  #measuring: Promise<MeasuredOffset> | undefined;

  constructor(
    private readonly database: Database,
    private readonly redisTimeUs: () => Promise<number>,
  ) {}

  /**
   * Measures where nothing is known yet. What is older than ten seconds is measured again beside the work that asks.
   * @throws QueueUnavailableError, DatabaseError where nothing is known and cannot be measured
   */
  async get(): Promise<MeasuredOffset> {
    const due = performance.now() - this.#measuredAt > MAX_AGE_MS;
    if (due) this.#measuring ??= this.#measure();
    if (this.#measured === undefined) return this.#measuring as Promise<MeasuredOffset>;
    this.#measuring?.catch(() => {}); // the old one serves until the next try
    return this.#measured;
  }

  async #measure(): Promise<MeasuredOffset> {
    try {
      let best: MeasuredOffset | undefined;
      for (let round = 0; round < ROUNDS; round++) {
        const redisTimeUs = await this.redisTimeUs();
        const [row] = await this.database.query(`SELECT ${CLOCK} AS now`);
        const offsetUs = Math.floor(redisTimeUs - Number(row?.now)) - DRIFT_US;
        if (!best || offsetUs > best.offsetUs) best = { offsetUs, redisTimeUs };
      }
      this.#measured = best as MeasuredOffset;
      this.#measuredAt = performance.now();
      return this.#measured;
    } finally {
      this.#measuring = undefined;
    }
  }
}
