import pg from 'pg';
import { onTestFinished } from 'vitest';
import type { PgClient, PgPool } from '../../src/postgres/database.js';

/** A pool whose transactions stop before their COMMIT, or another statement, until they are let go. It goes with the test. */
export class HeldCommits implements PgPool {
  readonly #pool: pg.Pool;
  readonly #statement: string;
  readonly #held: Array<() => void> = [];
  #waiting: Array<() => void> = [];
  #holding = true;

  constructor(config: pg.PoolConfig, statement = 'COMMIT') {
    this.#pool = new pg.Pool(config);
    this.#statement = statement;
    onTestFinished(async () => {
      this.letGo();
      await this.#pool.end();
    });
  }

  /** Resolves when a transaction stands before its COMMIT. */
  async stands(): Promise<void> {
    if (this.#held.length === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Lets all go that stand, and holds no more. */
  letGo(): void {
    this.#holding = false;
    for (const go of this.#held.splice(0)) go();
  }

  async connect(): Promise<PgClient> {
    const client = await this.#pool.connect();
    const hold = () => this.#hold();
    const statement = this.#statement;
    return new Proxy<PgClient>(client, {
      get(target, name) {
        const value = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        if (name !== 'query') return value.bind(target);
        return (...args: unknown[]) => {
          // A COPY is a stream that is given back at once: it cannot wait.
          return args[0] === statement
            ? hold().then(() => value.apply(target, args))
            : value.apply(target, args);
        };
      },
    });
  }

  async end(): Promise<void> {}

  async #hold(): Promise<void> {
    if (!this.#holding) return;
    const gone = new Promise<void>((resolve) => this.#held.push(resolve));
    for (const resolve of this.#waiting.splice(0)) resolve();
    await gone;
  }
}
