import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  CheckpointWriter,
  PostgresCheckpointStore,
  type PostgresOption,
  QueuedCheckpointStore,
} from '../../src/index.js';
import { QueuedPostgresSaver } from '../../src/langgraph/index.js';
import { Database } from '../../src/postgres/database.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { services, testQueue } from '../services.js';
import { testDatabase } from './test-database.js';

const refusalOf = (encoding: string) => ({
  name: 'InvalidConfigError',
  code: 'INVALID_CONFIG',
  field: 'postgres',
  message: expect.stringMatching(new RegExp(`encoding ${encoding}\\b.*must be UTF8`)),
});
const REFUSED = refusalOf('LATIN1');

function opened<T extends { close(): Promise<void> }>(one: T): T {
  onTestFinished(() => one.close());
  return one;
}

const CALLS: Array<[string, (store: PostgresCheckpointStore | QueuedCheckpointStore) => Promise<unknown>]> = [
  ['initSchema', (store) => store.initSchema()],
  ['load', (store) => store.load('a')],
  ['latest', (store) => store.latest('run')],
  ['list', (store) => store.list('run')],
  ['delete', (store) => store.delete('a')],
  ['clear', (store) => store.clear('run')],
  ['prune', (store) => store.prune({ keepLast: 1 })],
  ['save with an expected version', (store) => store.save(newCheckpoint(), { expectedVersion: 0 })],
];

describe('a database that is not in UTF-8', () => {
  it.each([['save', (store: PostgresCheckpointStore) => store.save(newCheckpoint())] as const, ...CALLS])(
    'is refused by %s of the plain store',
    async (_, call) => {
      const store = opened(new PostgresCheckpointStore({ postgres: await testDatabase('LATIN1') }));
      await expect(call(store)).rejects.toMatchObject(REFUSED);
    },
  );

  it.each(CALLS)('is refused by %s of the queued store', async (_, call) => {
    const place = {
      redis: services().redisUrl,
      queue: testQueue(),
      postgres: await testDatabase('SQL_ASCII'),
    };
    const store = opened(new QueuedCheckpointStore(place));
    await expect(call(store)).rejects.toMatchObject(refusalOf('SQL_ASCII'));
  });

  it('is refused by a writer at its start, and the saves stay in the queue', async () => {
    const latin = await testDatabase('LATIN1');
    const place = { redis: services().redisUrl, queue: testQueue() };
    const store = opened(new QueuedCheckpointStore({ ...place, postgres: latin }));
    const { id } = await store.save(newCheckpoint({ state: { text: '😀' } }));
    const refused = opened(new CheckpointWriter({ ...place, postgres: latin }));
    await expect(refused.start()).rejects.toMatchObject(REFUSED);

    const postgres = await testDatabase('UTF8');
    await opened(new CheckpointWriter({ ...place, postgres })).start();
    const reader = opened(new PostgresCheckpointStore({ postgres }));
    await expect
      .poll(() => reader.load(id).catch(() => undefined), { timeout: 20_000 })
      .toMatchObject({
        state: { text: '😀' },
      });
  });

  it('is refused by a store whose embedded writer could not start', async () => {
    const place = { redis: services().redisUrl, queue: testQueue(), postgres: await testDatabase('LATIN1') };
    const store = opened(new QueuedCheckpointStore({ ...place, writer: true }));
    await expect
      .poll(() => store.save(newCheckpoint()).catch((error) => error), { timeout: 20_000 })
      .toMatchObject(REFUSED);
  });

  it('is refused by the LangGraph checkpointer, also by its embedded writer, which needs no tables at the start', async () => {
    const place = { redis: services().redisUrl, queue: testQueue(), postgres: await testDatabase('LATIN1') };
    const saver = new QueuedPostgresSaver({ ...place, writer: true });
    onTestFinished(() => saver.end());
    await expect(saver.setup()).rejects.toMatchObject(REFUSED);
    const config = { configurable: { thread_id: 'thread', checkpoint_ns: '', checkpoint_id: 'one' } };
    await expect
      .poll(() => saver.putWrites(config, [['channel', 1]], 'task').catch((error) => error), {
        timeout: 20_000,
      })
      .toMatchObject(REFUSED);
    await expect(saver.getTuple(config)).rejects.toMatchObject(REFUSED);
  });

  it('is looked at where that is asked for', async () => {
    const database = opened(new Database(await testDatabase('LATIN1'), { anyEncoding: true }));
    expect(await database.query('SELECT 1 AS one')).toEqual([{ one: '1' }]);
  });
});

it('refuses a pool whose sessions are not in UTF-8', async () => {
  const pool = new pg.Pool({ connectionString: services().databaseUrl });
  pool.on('connect', (client) => void client.query("SET client_encoding = 'LATIN1'"));
  onTestFinished(() => pool.end());
  const store = opened(new PostgresCheckpointStore({ postgres: pool }));
  await expect(store.load('a')).rejects.toMatchObject({
    ...REFUSED,
    message: expect.stringContaining('client_encoding LATIN1'),
  });
});

it('asks a pool once for its encoding, and again where the answer was lost', async () => {
  const pool = new pg.Pool({ connectionString: services().databaseUrl, max: 1 });
  onTestFinished(() => pool.end());
  let asked = 0;
  const watched: PostgresOption = {
    connect: async () => {
      const client = await pool.connect();
      const query = client.query.bind(client) as (...given: unknown[]) => unknown;
      client.query = ((...given: unknown[]) => {
        if (JSON.stringify(given[0]).includes('server_encoding') && ++asked === 1) {
          return Promise.reject(Object.assign(new Error('lost'), { code: 'ECONNRESET' }));
        }
        return query(...given);
      }) as typeof client.query;
      const release = client.release.bind(client);
      client.release = (error) => {
        client.query = query as typeof client.query;
        release(error);
      };
      return client;
    },
    end: async () => {},
  };
  const database = opened(new Database(watched));
  await expect(database.query('SELECT 1')).rejects.toMatchObject({ code: 'DATABASE', sqlState: undefined });
  for (const _ of [1, 2, 3]) await database.query('SELECT 1');
  expect(asked).toBe(2);
});
