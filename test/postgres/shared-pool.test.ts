import pg from 'pg';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { PostgresCheckpointStore, QueuedCheckpointStore } from '../../src/index.js';
import { QueuedPostgresSaver } from '../../src/langgraph/index.js';
import { openPlace, type Place } from '../store/place.js';

const NAME = `shared-pool-${process.pid}`;

let place: Place;
/** A pool of an application that listens to nothing. */
let pool: pg.Pool;

beforeEach(async () => {
  place = await openPlace();
  pool = new pg.Pool({ connectionString: place.postgres, application_name: NAME });
});

afterEach(async () => {
  await pool.end();
  await place.remove();
});

const listeners = () => ['error', 'connect'].map((event) => pool.listenerCount(event));

/** Ends the idle connections of the pool as a restarted server does; an event without a listener would throw out of the socket. */
async function loseIdleConnections(): Promise<void> {
  await vi.waitFor(() => expect(pool.idleCount).toBe(pool.totalCount));
  await place.pool.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1',
    [NAME],
  );
  await vi.waitFor(() => expect(pool.totalCount).toBe(0));
}

const USERS: Array<[name: string, use: () => Promise<() => Promise<void>>]> = [
  [
    'a plain store',
    async () => {
      const store = new PostgresCheckpointStore({ postgres: pool, schema: place.schema });
      await store.list('e');
      return () => store.close();
    },
  ],
  [
    'a plain store that reads from it',
    async () => {
      const { postgres, schema } = place;
      const store = new PostgresCheckpointStore({ postgres, readPostgres: pool, schema });
      await store.initSchema();
      await store.list('e');
      return () => store.close();
    },
  ],
  [
    'a queued store with a writer',
    async () => {
      const { redis, schema, queue } = place;
      const store = new QueuedCheckpointStore({ redis, postgres: pool, schema, queue, writer: true });
      await store.save({ id: 'a', executionId: 'e', nodeName: 'n', state: 1 }, { ack: 'committed' });
      return () => store.close();
    },
  ],
  [
    'a LangGraph saver',
    async () => {
      const { redis, schema, queue } = place;
      const saver = new QueuedPostgresSaver({ redis, postgres: pool, schema, queue });
      await saver.setup();
      return () => saver.end();
    },
  ],
];

it.each(USERS)('%s survives the loss of idle connections, and leaves no listener', async (_, use) => {
  const close = await use();
  expect(listeners()).toEqual([1, 1]);
  await loseIdleConnections();
  expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  await close();
  expect(listeners()).toEqual([0, 0]);
});

it('a pool has one listener for each event, however many stores share it, until the last one is closed', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => void warnings.push(warning);
  process.on('warning', onWarning);
  const stores = Array.from(
    { length: 15 },
    () => new PostgresCheckpointStore({ postgres: pool, readPostgres: pool, schema: place.schema }),
  );
  expect(listeners()).toEqual([0, 0]);
  await stores[0]?.initSchema();
  for (const store of stores) await store.list('e');
  expect(listeners()).toEqual([1, 1]);
  for (const store of stores.slice(1)) await store.close();
  expect(listeners()).toEqual([1, 1]);
  await loseIdleConnections();
  expect(await stores[0]?.list('e')).toEqual([]);
  await Promise.all([stores[0]?.close(), stores[0]?.close()]);
  expect(listeners()).toEqual([0, 0]);
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
});

it('the application is told by its own listener too', async () => {
  const lost: unknown[] = [];
  pool.on('error', (error) => lost.push(error));
  const warn = vi.fn();
  const logger = { debug: warn, info: warn, warn, error: warn };
  const store = new PostgresCheckpointStore({ postgres: pool, schema: place.schema, logger });
  await store.initSchema();
  await loseIdleConnections();
  expect(lost.length).toBeGreaterThan(0);
  expect(warn).toHaveBeenCalledWith({ sqlState: '57P01' }, 'idle PostgreSQL connection lost');
  await store.close();
  expect(pool.listenerCount('error')).toBe(1);
});

it('a constructor that refuses its options leaves nothing behind', () => {
  expect(() => new QueuedCheckpointStore({ redis: 'nowhere', postgres: pool })).toThrow();
  expect(listeners()).toEqual([0, 0]);
});
