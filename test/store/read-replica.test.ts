import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  CheckpointNotFoundError,
  type Logger,
  PostgresCheckpointStore,
  QueuedCheckpointStore,
} from '../../src/index.js';
import { QueuedPostgresSaver } from '../../src/langgraph/index.js';
import { silentLogger } from '../../src/logger.js';
import { freePort } from '../../src/services/free-port.js';
import { runCli } from '../cli/cli.js';
import { newCheckpoint, newExecution } from '../contract/checkpoints.js';
import { Replication } from '../faults/postgres-standby.js';
import { execute } from '../faults/services.js';
import { TcpProxy } from '../faults/tcp-proxy.js';
import { testSaver } from '../langgraph/place.js';
import { patient } from '../patience.js';
import { type Place, testPlace, testStore } from './place.js';

let replication: Replication;
let place: Place;
/** What the stores of a test warned of. */
let warnings: { message: string; sqlState?: string }[];
const logger: Logger = {
  ...silentLogger,
  warn: (fields, message) => void warnings.push({ ...fields, message }),
};

beforeAll(async () => {
  replication = await Replication.start({ standbyArgs: ['-c', 'max_standby_streaming_delay=0'] });
});
afterAll(() => replication.stop());
beforeEach(async () => {
  warnings = [];
  place = await testPlace({ postgres: replication.primary.url });
});
afterEach(() => replication.resumeReplay());

function plainStore(readPostgres: pg.PoolConfig | pg.Pool | string = replication.standby.url) {
  const { postgres, schema } = place;
  const store = new PostgresCheckpointStore({ postgres, readPostgres, schema, logger });
  onTestFinished(() => store.close());
  return store;
}

/** A store whose replica has the first checkpoint of an execution and not the second one. */
async function behindByOne(store: PostgresCheckpointStore | QueuedCheckpointStore) {
  const executionId = newExecution();
  const [old, fresh] = [1, 2].map((second) =>
    newCheckpoint({ executionId, timestamp: new Date(second * 1000) }),
  ) as [ReturnType<typeof newCheckpoint>, ReturnType<typeof newCheckpoint>];
  await store.save(old, { ack: 'committed' });
  await replication.caughtUp();
  await replication.pauseReplay();
  await store.save(fresh, { ack: 'committed' });
  return { executionId, old, fresh };
}

describe.each([
  ['PostgresCheckpointStore', () => plainStore()],
  [
    'QueuedCheckpointStore',
    () => testStore(place, { readPostgres: replication.standby.url, writer: true, logger }),
  ],
])('%s', (_, open) => {
  it('reads what is committed at the replica, and the latest at the primary', async () => {
    const store = open();
    const { executionId, old, fresh } = await behindByOne(store);

    await expect(store.load(fresh.id)).rejects.toBeInstanceOf(CheckpointNotFoundError);
    expect((await store.latest(executionId))?.id).toBe(old.id);
    expect((await store.list(executionId)).map(({ id }) => id)).toEqual([old.id]);

    const latest = { consistency: 'latest', executionId } as const;
    expect((await store.load(fresh.id, latest)).id).toBe(fresh.id);
    expect((await store.latest(executionId, latest))?.id).toBe(fresh.id);
    expect((await store.list(executionId, latest)).map(({ id }) => id)).toEqual([old.id, fresh.id]);
    expect((await store.latest(executionId, { atPrimary: true }))?.id).toBe(fresh.id);
    expect(warnings).toEqual([]);
  });

  it('looks for the bounds of a list where it reads the list', async () => {
    const store = open();
    const { executionId, old, fresh } = await behindByOne(store);
    expect(await store.list(executionId, { after: old.id })).toEqual([]);
    await expect(store.list(executionId, { after: fresh.id })).rejects.toBeInstanceOf(
      CheckpointNotFoundError,
    );
    expect(await store.list(executionId, { after: fresh.id, consistency: 'latest' })).toEqual([]);
  });

  it('compares expected versions at the primary', async () => {
    const store = open();
    const { fresh } = await behindByOne(store);
    await expect(store.save(fresh, { expectedVersion: 0 })).rejects.toMatchObject({
      code: 'VERSION_CONFLICT',
      actualVersion: 1,
    });
  });
});

it('a saver that reads what is committed does it at the replica', async () => {
  const saver = testSaver(place, {
    consistency: 'committed',
    readPostgres: replication.standby.url,
    writer: true,
  });
  const put = async (id: string) => {
    const config = { configurable: { thread_id: 'thread', checkpoint_ns: '' } };
    const checkpoint = { v: 4, id, ts: '', channel_values: {}, channel_versions: {}, versions_seen: {} };
    await saver.put(config, checkpoint, { source: 'loop', step: 1, parents: {} }, {});
    await saver.flush();
  };
  const newest = async () => (await saver.getTuple({ configurable: { thread_id: 'thread' } }))?.checkpoint.id;
  await put('1');
  await replication.caughtUp();
  await replication.pauseReplay();
  await put('2');
  expect(await newest()).toBe('1');
  await replication.resumeReplay();
  await replication.caughtUp();
  expect(await newest()).toBe('2');
});

it('the table is created at the primary, and read there until the replica has it', async () => {
  await replication.caughtUp();
  await replication.pauseReplay();
  const store = plainStore();
  expect(await store.latest('nothing')).toBeUndefined();
  const checkpoint = newCheckpoint();
  await store.save(checkpoint);
  expect((await store.load(checkpoint.id)).id).toBe(checkpoint.id);
  expect(warnings).toMatchObject([{ sqlState: expect.stringMatching(/42P01|3F000/) }]);
});

it('a read that the replica cancels because it must go on replaying is done at the primary', async () => {
  const checkpoint = newCheckpoint();
  await plainStore().save(checkpoint);
  const table = `${place.schema}.checkpoints`;
  // Slow for the reader at the replica, and for nobody else.
  await execute(place.postgres, `DROP ROLE IF EXISTS slow; CREATE ROLE slow LOGIN PASSWORD 'slow'`);
  await execute(
    place.postgres,
    `GRANT USAGE ON SCHEMA ${place.schema} TO slow; GRANT SELECT ON ALL TABLES IN SCHEMA ${place.schema} TO slow;
     ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY; CREATE POLICY slow ON ${table} USING (pg_sleep(4) IS NOT NULL)`,
  );
  onTestFinished(async () => void (await execute(place.postgres, 'DROP OWNED BY slow; DROP ROLE slow')));
  await replication.caughtUp();
  const url = new URL(replication.standby.url);
  url.username = url.password = 'slow';
  const read = plainStore(url.toString()).load(checkpoint.id);
  await replication.isRunning('slow');
  await execute(place.postgres, `BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE; COMMIT`);
  expect((await read).id).toBe(checkpoint.id);
  expect(warnings).toMatchObject([{ sqlState: '40001' }]);
});

it('without the replica the primary is read, at once after the first failure, until the replica is back', async () => {
  const proxy = await TcpProxy.before(replication.standby.url);
  const store = plainStore(proxy.url);
  const { executionId, old, fresh } = await behindByOne(store);
  const newest = async () => (await store.latest(executionId))?.id;
  expect(await newest()).toBe(old.id);

  proxy.stall();
  expect(await newest()).toBe(fresh.id); // after 5 s
  const began = performance.now();
  for (let read = 0; read < 20; read++) expect(await newest()).toBe(fresh.id);
  expect(performance.now() - began).toBeLessThan(patient(2000));
  expect(warnings).toMatchObject([{ message: expect.stringContaining('replica is away') }]);

  proxy.cut();
  proxy.resume();
  await expect.poll(newest, { timeout: 20_000, interval: 100 }).toBe(old.id);
});

it('a replica that nobody listens at is told once, and harms no read', async () => {
  const proxy = await TcpProxy.before(replication.standby.url);
  await proxy.refuse();
  const store = plainStore(proxy.url);
  const checkpoint = newCheckpoint();
  await store.save(checkpoint);
  for (let read = 0; read < 20; read++) expect((await store.load(checkpoint.id)).id).toBe(checkpoint.id);
  expect(warnings).toHaveLength(1);
});

it.each(['refuses connections', 'answers nothing'])(
  'reads of the replica go on while the primary %s',
  async (how) => {
    const proxy = await TcpProxy.before(place.postgres);
    const checkpoint = newCheckpoint();
    await plainStore().save(checkpoint);
    await replication.caughtUp();
    if (how === 'answers nothing') proxy.stall();
    else await proxy.refuse();
    const { schema } = place;
    const store = new PostgresCheckpointStore({
      postgres: proxy.url,
      readPostgres: replication.standby.url,
      schema,
    });
    onTestFinished(() => store.close());
    const began = performance.now();
    expect((await store.load(checkpoint.id)).id).toBe(checkpoint.id);
    expect(performance.now() - began).toBeLessThan(patient(2000));
  },
);

it('a partitioned table is read at the replica, too', async () => {
  const { postgres, schema } = place;
  const readPostgres = replication.standby.url;
  const store = new PostgresCheckpointStore({ postgres, readPostgres, schema, partitionBy: 'month', logger });
  onTestFinished(() => store.close());
  const { executionId, old } = await behindByOne(store);
  expect((await store.load(old.id)).id).toBe(old.id);
  expect((await store.latest(executionId))?.id).toBe(old.id);
  expect((await store.list(executionId)).map(({ id }) => id)).toEqual([old.id]);
  expect(warnings).toEqual([]);
});

it('a pool of the application stays open', async () => {
  const pool = new pg.Pool({ connectionString: replication.standby.url });
  onTestFinished(() => pool.end());
  const store = plainStore(pool);
  await store.latest('nothing');
  await store.close();
  expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
});

it('the reading commands use CKPT_READ_DATABASE_URL, and config hides its password', {
  timeout: 120_000,
}, async () => {
  const store = plainStore();
  const { executionId, old, fresh } = await behindByOne(store);
  const env = {
    DATABASE_URL: place.postgres,
    CKPT_READ_DATABASE_URL: replication.standby.url,
    CKPT_SCHEMA: place.schema,
    CKPT_QUEUE: place.queue,
  };
  // On a busy machine the replica may not answer within the 5 s after which the primary is read.
  await vi.waitFor(async () => {
    const committed = await runCli(['latest', executionId, '--json'], env);
    expect(JSON.parse(committed.stdout).id).toBe(old.id);
  });
  const latest = await runCli(['latest', executionId, '--json', '--consistency', 'latest'], env);
  expect(JSON.parse(latest.stdout).id).toBe(fresh.id);
  const { password } = new URL(replication.standby.url);
  const nobody = `postgresql://127.0.0.1:${await freePort()}/db`;
  const fallen = await runCli(['latest', executionId, '--json'], { ...env, CKPT_READ_DATABASE_URL: nobody });
  expect(JSON.parse(fallen.stdout).id).toBe(fresh.id);
  expect(fallen).toMatchObject({ code: 0, stderr: expect.stringContaining('the read replica is away') });
  const config = await runCli(['config'], env);
  expect(config.stdout).toContain('CKPT_READ_DATABASE_URL');
  expect(config.stdout).not.toContain(password);
});

it.each([
  ['no URL', 'readPostgres', 'elsewhere'],
  ['several hosts', 'readPostgres', 'postgresql://u:secret@a,b/db'],
  ['a pool parameter', 'readPostgres: pool_max_conns', 'postgresql://u:secret@a/db?pool_max_conns=0'],
])('an option that cannot be used is refused by its name: %s', (_, field, readPostgres) => {
  const { postgres, redis } = place;
  const refused = expect.objectContaining({ code: 'INVALID_CONFIG', field });
  expect(() => new PostgresCheckpointStore({ postgres, readPostgres })).toThrow(refused);
  expect(() => new QueuedCheckpointStore({ postgres, redis, readPostgres })).toThrow(refused);
  const saver = () => new QueuedPostgresSaver({ postgres, redis, readPostgres, consistency: 'committed' });
  expect(saver).toThrow(refused);
  expect(saver).not.toThrow(/secret/);
});

it('a saver that reads the latest has no use for a replica, and says so', () => {
  const { postgres, redis } = place;
  expect(() => new QueuedPostgresSaver({ postgres, redis, readPostgres: postgres })).toThrow(
    expect.objectContaining({ code: 'INVALID_CONFIG', field: 'readPostgres' }),
  );
});
