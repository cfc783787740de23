import type { PgClient, PgPool } from './pg-types.js';

/** Called with the error of an idle connection that was lost. */
export type OnLost = (error: Error) => void;

/**
 * Listens to a pool and its connections. Without a listener for `error`, Node ends the process when the server closes an idle
 * connection, or one that is ready and not lent yet.
 *
 * However many stores share a pool, it has one listener for each event, so that Node does not warn of a leak.
 */
class PoolWatch {
  readonly users = new Set<OnLost>();
  readonly #pool: PgPool;
  readonly #onError = (error: Error) => {
    for (const onLost of this.users) onLost(error);
  };

  constructor(pool: PgPool) {
    this.#pool = pool;
    pool.on?.('connect', ignoreErrors);
    pool.on?.('error', this.#onError);
  }

  end(): void {
    this.#pool.off?.('connect', ignoreErrors);
    this.#pool.off?.('error', this.#onError);
  }
}

const watches = new WeakMap<PgPool, PoolWatch>();

/** @returns stops it for this user; the last one takes the listeners away. Idempotent */
export function watchPool(pool: PgPool, onLost: OnLost): () => void {
  const watch = watches.get(pool) ?? new PoolWatch(pool);
  watches.set(pool, watch);
  const user: OnLost = (error) => onLost(error);
  watch.users.add(user);
  return () => {
    if (!watch.users.delete(user) || watch.users.size > 0) return;
    watches.delete(pool);
    watch.end();
  };
}

/** What is sent over a connection that was lost rejects anyway. */
export const ignore = (): void => {};

function ignoreErrors(client: PgClient): void {
  client.on('error', ignore);
}
