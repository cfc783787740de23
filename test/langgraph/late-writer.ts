import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { CheckpointWriter } from '../../src/index.js';
import type { PgClient, PgPool } from '../../src/postgres/database.js';
import type { Place } from '../store/place.js';
import { graphWriterOptions } from './graph-writer.js';

/** A writer whose every COMMIT comes late. Whoever starts it closes it. */
export async function startLateWriter(place: Place, lagMs: number): Promise<{ close(): Promise<void> }> {
  const pool = new LatePool(place.postgres, lagMs);
  const writer = new CheckpointWriter({ ...graphWriterOptions(place), postgres: pool });
  await writer.start();
  return {
    close: async () => {
      await writer.close();
      await pool.close();
    },
  };
}

class LatePool implements PgPool {
  readonly #pool: pg.Pool;

  constructor(
    connectionString: string,
    private readonly lagMs: number,
  ) {
    this.#pool = new pg.Pool({ connectionString });
  }

  async connect(): Promise<PgClient> {
    const client = await this.#pool.connect();
    const { lagMs } = this;
    return new Proxy<PgClient>(client, {
      get(target, name) {
        const value = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        if (name !== 'query') return value.bind(target);
        return (...args: unknown[]) =>
          args[0] === 'COMMIT'
            ? delay(lagMs).then(() => value.apply(target, args))
            : value.apply(target, args);
      },
    });
  }

  /** The writer's `end` leaves it open: it is this test's. */
  async end(): Promise<void> {}

  close(): Promise<void> {
    return this.#pool.end();
  }
}
