import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { PgClient, PgPool } from '../../src/postgres/database.js';
import type { Dice } from './dice.js';

export interface Disturbance {
  readonly dice: Dice;
  /** Longest pause before COPY, before the merge and before COMMIT, in milliseconds; most are short. */
  readonly maxDelayMs: number;
  /** How often the reply to a COMMIT is lost, so that the batch is written again. */
  readonly lostCommits: number;
  /** Another merge statement. */
  readonly merge?: (sql: string) => string;
}

/** A pool whose transactions dawdle, and do not always learn that they were committed. */
export class DisturbedPool implements PgPool {
  readonly #pool: pg.Pool;

  constructor(
    config: pg.PoolConfig,
    private readonly disturbance: Disturbance,
  ) {
    this.#pool = new pg.Pool(config);
    this.#pool.on('error', () => {});
  }

  async connect(): Promise<PgClient> {
    const client = await this.#pool.connect();
    const query = (...args: unknown[]) => this.#query(client, args);
    return new Proxy<PgClient>(client, {
      get(target, name) {
        const value = Reflect.get(target, name, target);
        if (name === 'query') return query;
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  end(): Promise<void> {
    return this.#pool.end();
  }

  #query(client: pg.PoolClient, args: unknown[]): unknown {
    const [first, ...rest] = args;
    const run = (...given: unknown[]) => Reflect.apply(client.query, client, given) as Promise<unknown>;
    // A COPY is a stream that is given back at once: it is delayed by what comes before it.
    if (typeof first !== 'string') return run(...args);
    if (first.startsWith('BEGIN')) return run(...args).then((result) => this.#dawdle().then(() => result));
    if (first === 'COMMIT') return this.#commit(run);
    if (/^\s*(INSERT|WITH decided)/.test(first)) {
      return this.#dawdle().then(() => run(this.disturbance.merge?.(first) ?? first, ...rest));
    }
    return run(...args);
  }

  async #commit(run: (sql: string) => Promise<unknown>): Promise<unknown> {
    await this.#dawdle();
    const result = await run('COMMIT');
    const { dice, lostCommits } = this.disturbance;
    if (dice.roll() < lostCommits) {
      throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
    }
    return result;
  }

  async #dawdle(): Promise<void> {
    const { dice, maxDelayMs } = this.disturbance;
    if (dice.roll() < 0.5) return;
    await delay(dice.roll() ** 2 * maxDelayMs);
  }
}
