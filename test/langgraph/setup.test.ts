import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';
import pg from 'pg';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { PostgresCheckpointStore } from '../../src/index.js';
import { QueuedPostgresSaver } from '../../src/langgraph/index.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { type Place, startWriter, testPlace } from '../store/place.js';
import { startGraphWriter } from './graph-writer.js';
import { officialSaver, testSaver, tuplesOf } from './place.js';
import { readsOf } from './reads.js';
import { putRichThread } from './rich-thread.js';

const TABLES = ['checkpoints', 'checkpoint_blobs', 'checkpoint_writes'];
const MISMATCH = { name: 'SchemaMismatchError', code: 'SCHEMA_MISMATCH' };

/** All tables of the schema with their columns, indexes and rows of the ledgers. */
async function tablesOf({ pool, schema }: Pick<Place, 'pool' | 'schema'>): Promise<unknown> {
  const { rows: columns } = await pool.query(
    `SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
      WHERE table_schema = $1 ORDER BY table_name, column_name`,
    [schema],
  );
  const { rows: indexes } = await pool.query(
    'SELECT indexdef FROM pg_indexes WHERE schemaname = $1 ORDER BY indexname',
    [schema],
  );
  const { rows: official } = await pool.query(`SELECT v FROM ${schema}.checkpoint_migrations ORDER BY v`);
  return { columns, indexes, official };
}

/** Two checkpoints by a saver are there for it and for the official one. */
async function expectWorks(place: Place): Promise<void> {
  const saver = testSaver(place);
  await startGraphWriter(place);
  await putRichThread(saver, 'works');
  expect(await readsOf(saver, 'works')).toMatchObject({ all: { length: 4 } });
  expect(await tuplesOf(officialSaver(place), 'works')).toHaveLength(4);
}

describe('setup', () => {
  it('may be called by six at once, in a schema that is not there yet', async () => {
    const place = await testPlace();
    await place.pool.query(`DROP SCHEMA ${place.schema}`);
    await Promise.all(Array.from({ length: 6 }, () => testSaver(place).setup()));
    await expectWorks(place);
  });

  it('leaves PostgresSaver nothing to do, and makes what that one makes and adds to', async () => {
    const [place, officialPlace] = [await testPlace(), await testPlace()];
    await testSaver(place).setup();
    const made = await tablesOf(place);
    await officialSaver(place).setup();
    await testSaver(place).setup();
    expect(await tablesOf(place)).toEqual(made);
    await officialSaver(officialPlace).setup();
    await testSaver(officialPlace).setup();
    const other = JSON.stringify(await tablesOf(officialPlace)).replaceAll(
      officialPlace.schema,
      place.schema,
    );
    expect(JSON.parse(other)).toEqual(made);
  });

  it('on tables of PostgresSaver keeps its rows as they are', async () => {
    const place = await testPlace();
    const official = officialSaver(place);
    await official.setup();
    await putRichThread(official, 'old');
    const seen = await readsOf(official, 'old');
    await Promise.all(Array.from({ length: 6 }, () => testSaver(place).setup()));
    expect(await readsOf(official, 'old')).toEqual(seen);
    expect(await readsOf(testSaver(place), 'old')).toEqual(seen);
    await expectWorks(place);
  });

  it('need not be called: what is missing is made when it is needed', async () => {
    const reader = testSaver(await testPlace());
    expect(await reader.getTuple({ configurable: { thread_id: 't' } })).toBeUndefined();
    expect(await reader.listThreads()).toEqual([]);
    const deleting = testSaver(await testPlace());
    await deleting.deleteThread('t');
    const pruning = testSaver(await testPlace());
    expect(await pruning.pruneThreads({ keepLast: 1 })).toEqual({ threads: 0, checkpoints: 0 });
    await expectWorks(await testPlace());
  });

  it('makes again what was dropped', async () => {
    const place = await testPlace();
    await testSaver(place).setup();
    await place.pool.query(`DROP TABLE ${place.schema}.checkpoint_writes`);
    await testSaver(place).setup();
    await expectWorks(place);
  });
});

describe('a table of one of the names that is not of PostgresSaver', () => {
  it.each(TABLES)('%s is refused, and nothing is changed', async (table) => {
    const place = await testPlace();
    await place.pool.query(`CREATE TABLE ${place.schema}.${table} (id INTEGER, thread_id TEXT)`);
    await expect(testSaver(place).setup()).rejects.toMatchObject({
      ...MISMATCH,
      table: `${place.schema}.${table}`,
    });
    const { rows } = await place.pool.query(
      'SELECT table_name FROM information_schema.tables WHERE table_schema = $1',
      [place.schema],
    );
    expect(rows).toEqual([{ table_name: table }]);
  });

  it("is the checkpoint table of this package's stores, and the other way round", async () => {
    const place = await testPlace();
    const { postgres, schema } = place;
    const store = new PostgresCheckpointStore({ postgres, schema });
    onTestFinished(() => store.close());
    await store.initSchema();
    await expect(testSaver(place).setup()).rejects.toMatchObject(MISMATCH);
    await expect(testSaver(place).getTuple({ configurable: { thread_id: 't' } })).rejects.toMatchObject(
      MISMATCH,
    );

    const other = await testPlace();
    await testSaver(other).setup();
    await expect(startWriter(other)).rejects.toMatchObject(MISMATCH);
    const { rows } = await other.pool.query(`SELECT count(*)::int AS n FROM ${other.schema}.checkpoints`);
    expect(rows).toEqual([{ n: 0 }]);
  });

  it('does not keep a worker from its own table', async () => {
    const place = await testPlace();
    const { postgres, schema } = place;
    const store = new PostgresCheckpointStore({ postgres, schema });
    onTestFinished(() => store.close());
    await startWriter(place);
    await store.save(newCheckpoint());
  });
});

it("schema 'public' shares the tables of a PostgresSaver without options", async () => {
  const place = await testPlace();
  const database = `shared_${place.schema}`;
  await place.pool.query(`CREATE DATABASE ${database}`);
  // Connections that were closed a moment ago are still there for a moment.
  onTestFinished(() =>
    vi.waitFor(() => place.pool.query(`DROP DATABASE ${database}`).then(() => {}), 10_000),
  );
  const url = new URL(place.postgres);
  url.pathname = `/${database}`;
  const official = new PostgresSaver(new pg.Pool({ connectionString: url.toString() }));
  onTestFinished(() => official.end());
  await official.setup();
  await putRichThread(official, 'theirs');
  const { redis, queue } = place;
  const saver = new QueuedPostgresSaver({
    redis,
    queue,
    postgres: url.toString(),
    schema: 'public',
    writer: true,
  });
  onTestFinished(() => saver.end());
  await putRichThread(saver, 'ours');
  for (const threadId of ['ours', 'theirs']) {
    const seen = await readsOf(saver, threadId);
    expect(seen).toMatchObject({ all: { length: 4 } });
    expect(await readsOf(official, threadId)).toEqual(seen);
  }
});
