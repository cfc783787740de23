import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  CheckpointWriter,
  DatabaseError,
  PostgresCheckpointStore,
  QueuedCheckpointStore,
} from '../../src/index.js';
import type { LocalServer } from '../../src/services/local-server.js';
import { runCli } from '../cli/cli.js';
import { describeCheckpointStore } from '../contract/checkpoint-store.js';
import { newCheckpoint, newExecution } from '../contract/checkpoints.js';
import { testLetters } from '../dead-letters/letters.js';
import { startGraphWriter } from '../langgraph/graph-writer.js';
import { rowsOf, testSaver } from '../langgraph/place.js';
import { readsOf } from '../langgraph/reads.js';
import { putRichThread } from '../langgraph/rich-thread.js';
import { daily, days, saveLongAgo, storedIds } from '../retention/rows.js';
import { openPlace, startWriter, testPlace, testStore } from '../store/place.js';
import { Load } from './load.js';
import { FaultOracle, NOTHING_WRONG } from './oracle.js';
import { pgbouncerProgram } from './pgbouncer-program.js';
import { type PgBouncerSettings, startPgBouncer } from './pgbouncer-server.js';
import { execute, ownPostgres } from './services.js';
import { startWorkerProcess } from './worker-process.js';

const SERVER_CONNECTIONS = 3;
const TIMEOUT_MS = 120_000;
const program = await pgbouncerProgram();

it.skipIf(program)('needs a pgbouncer on the PATH: apt-get install pgbouncer', ({ skip }) => skip());

describe.skipIf(!program)('behind a pgbouncer that pools transactions', () => {
  // A small stack, so that COPY meets a state that it refuses.
  const postgres = ownPostgres({ args: ['-c', 'max_stack_depth=100kB'] });
  let pgbouncer: LocalServer;
  beforeAll(async () => {
    pgbouncer = await startPgBouncer(program as string, postgres().url, {
      default_pool_size: SERVER_CONNECTIONS,
    });
  });
  afterAll(() => pgbouncer?.stop());

  const pooledPlace = () => testPlace({ postgres: pgbouncer.url });

  /** A pgbouncer of the test's own. */
  const ownPgBouncer = async (settings: PgBouncerSettings) => {
    const server = await startPgBouncer(program as string, postgres().url, settings);
    onTestFinished(() => server.stop());
    return server;
  };

  describeCheckpointStore('PostgresCheckpointStore', async () => {
    const { postgres, schema, remove } = await openPlace({ postgres: pgbouncer.url });
    const store = new PostgresCheckpointStore({ postgres, schema });
    const close = () => store.close().then(remove);
    return { store, settle: async () => {}, close };
  });

  describeCheckpointStore('QueuedCheckpointStore with a CheckpointWriter', async () => {
    const { redis, postgres, schema, queue, remove } = await openPlace({ postgres: pgbouncer.url });
    const store = new QueuedCheckpointStore({ redis, postgres, schema, queue });
    const writer = new CheckpointWriter({ redis, postgres, schema, queue, lingerMs: 0 });
    await writer.start();
    const close = async () => {
      await store.close();
      await writer.close();
      await remove();
    };
    return { store, settle: () => store.flush(), close };
  });

  it('several workers share its few connections, which change hands and are replaced, and lose nothing', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const server = await ownPgBouncer({ default_pool_size: SERVER_CONNECTIONS, server_lifetime: 1 });
    const place = await testPlace({ postgres: server.url });
    const store = testStore(place);
    const oracle = new FaultOracle();
    const workers = await Promise.all([1, 2, 3].map(() => startWorkerProcess(place)));
    const load = Load.start(store, oracle);
    const backends = await backendsOf(server.url, 100, () => load.more(10));
    await load.more(20, 'deleted');
    const { acknowledged } = await load.stop();
    await store.flush();

    expect(await oracle.verify(place)).toEqual({ acknowledged, ...NOTHING_WRONG });
    const written = await Promise.all(workers.map((worker) => worker.stats()));
    expect(written.filter(({ batches }) => batches > 0).length).toBeGreaterThan(1);
    // A connection that is new to a worker has no staging table of its.
    const missing = workers.flatMap(({ log }) => log.filter(({ sqlState }) => sqlState === '42P01'));
    expect(missing).toEqual([]);
    expect(backends.size).toBeGreaterThan(SERVER_CONNECTIONS);
  });

  it('six inits at once make a table, and a partitioned one', { timeout: TIMEOUT_MS }, async () => {
    const { schema, queue } = await pooledPlace();
    const env = { DATABASE_URL: pgbouncer.url, CKPT_SCHEMA: schema, CKPT_QUEUE: queue };
    for (const args of [['init'], ['init', '--partition-by', 'month']]) {
      const table = { CKPT_TABLE: `made_by_${args.length}` };
      const inits = Array.from({ length: 6 }, () => runCli(args, { ...env, ...table }));
      for (const { code, stderr } of await Promise.all(inits))
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    }
  });

  it('what PostgreSQL refuses, by COPY and by the merge, becomes a dead letter; mended, it is replayed', async () => {
    const place = await pooledPlace();
    const store = testStore(place);
    await store.initSchema();
    const table = `${place.schema}.checkpoints`;
    await execute(
      postgres().url,
      `ALTER TABLE ${table} ADD CONSTRAINT no_poison CHECK (NOT state ? 'poison')`,
    );
    await startWriter(place);
    const executionId = newExecution();
    const states = [nested(), { poison: 1 }, ...Array.from({ length: 50 }, (_, n) => ({ n }))];
    await store.saveBatch(states.map((state) => newCheckpoint({ executionId, state })));
    await expect(store.flush()).rejects.toThrow('2 saves were refused');
    expect(await store.list(executionId)).toHaveLength(50);

    const letters = testLetters(place);
    expect((await letters.list()).map(({ sqlState }) => sqlState).sort()).toEqual(['23514', '54001']);
    await execute(postgres().url, `ALTER TABLE ${table} DROP CONSTRAINT no_poison`);
    expect(await letters.replay({ filter: { sqlState: '23514' } })).toMatchObject({
      committed: 1,
      deadAgain: 0,
    });
    expect(await store.list(executionId, { consistency: 'latest' })).toHaveLength(51);
  });

  it('large checkpoints, which go past the queue, and old ones, which are pruned', async () => {
    const place = await pooledPlace();
    const store = testStore(place, { maxQueuedBytes: 100 });
    await startWriter(place);
    await Promise.all(
      Array.from({ length: 50 }, (_, n) => store.save(newCheckpoint({ state: `${n}`.repeat(1000) }))),
    );
    expect(await storedIds(place)).toHaveLength(50);
    await store.saveBatch(daily('run', 10), { ack: 'committed' });
    await saveLongAgo(place);
    expect(await store.prune({ olderThan: days(3), executionId: 'run' })).toMatchObject({ heldBack: 0 });
    expect(await store.list('run')).toHaveLength(2);
  });

  it('threads of LangGraph are put, read, copied, pruned and deleted', async () => {
    const place = await pooledPlace();
    const savers = [testSaver(place), testSaver(place)];
    await Promise.all([
      ...savers.map((saver) => saver.setup()),
      startGraphWriter(place),
      startGraphWriter(place),
    ]);
    const [saver = testSaver(place), other = saver] = savers;
    const threads = ['a', 'b', 'c', 'd', 'e', 'f'];
    await Promise.all(threads.map((thread) => putRichThread(saver, thread)));
    for (const thread of threads) expect(await readsOf(other, thread)).toMatchObject({ all: { length: 4 } });
    await saver.copyThread('a', 'copy');
    expect(await rowsOf(place, 'copy')).toEqual(await rowsOf(place, 'a'));
    expect(await saver.pruneThreads({ keepLast: 1, threadId: 'b' })).toMatchObject({ checkpoints: 2 });
    await Promise.all(threads.map((thread) => saver.deleteThread(thread)));
    for (const thread of threads) expect(Object.values(await rowsOf(place, thread))).toEqual([0, 0, 0]);
    // Of this pgbouncer: one for checkpoints and one for threads in each of its connections.
    expect(await stagingTables(postgres().url)).toBeLessThanOrEqual(2 * SERVER_CONNECTIONS);
  });

  it('one that forgets everything after each transaction only makes the staging tables anew', async () => {
    const server = await ownPgBouncer({ server_reset_query_always: 1 });
    const place = await testPlace({ postgres: server.url });
    const store = testStore(place, { writer: true });
    const executionId = newExecution();
    const before = await stagingTables(postgres().url);
    for (let round = 0; round < 5; round++) {
      await store.save(newCheckpoint({ executionId }), { ack: 'committed' });
    }
    expect(await store.list(executionId)).toHaveLength(5);
    expect(await stagingTables(postgres().url)).toBe(before);
  });

  it('one that pools statements is refused with its own words, for batches are transactions', async () => {
    const server = await ownPgBouncer({ pool_mode: 'statement' });
    const store = new PostgresCheckpointStore({ postgres: server.url, schema: 'refused' });
    onTestFinished(() => store.close());
    const refusal = await store.initSchema().catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(DatabaseError);
    expect((refusal as Error).message).toMatch(/08P01.*statement pooling/);
  });
});

/** Deeper than a server with a small stack parses. */
function nested(): unknown {
  let deep: unknown = 'bottom';
  for (let depth = 0; depth < 2000; depth++) deep = [deep];
  return deep;
}

/** The server connections that one connection of ours was given, asked so many times. */
async function backendsOf(url: string, times: number, between: () => Promise<void>): Promise<Set<number>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const backends = new Set<number>();
  try {
    for (let asked = 0; asked < times; asked++) {
      const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
      backends.add(rows[0].pid);
      await between();
    }
  } finally {
    await client.end();
  }
  return backends;
}

/** How many temporary tables all sessions of the server have. */
async function stagingTables(url: string): Promise<number> {
  const { rows } = await execute(
    url,
    "SELECT count(*)::int AS count FROM pg_class WHERE relpersistence = 't' AND relkind = 'r' AND relname LIKE '%staging'",
  );
  return rows[0].count;
}
