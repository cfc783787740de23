import { describe, expect, it, onTestFinished } from 'vitest';
import { PostgresCheckpointStore } from '../../src/index.js';
import { Database } from '../../src/postgres/database.js';
import { tableNames } from '../../src/postgres/identifiers.js';
import { migrate, SCHEMA_VERSION, schemaVersion } from '../../src/postgres/schema.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { type Place, startWriter, testPlace, testStore, testWriter } from '../store/place.js';

function plainStore({ postgres, schema }: Place): PostgresCheckpointStore {
  const store = new PostgresCheckpointStore({ postgres, schema });
  onTestFinished(() => store.close());
  return store;
}

async function columnsOf({ pool, schema }: Place, table = 'checkpoints'): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `SELECT column_name AS name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2
      ORDER BY ordinal_position`,
    [schema, table],
  );
  return rows.map(({ name }) => name);
}

const SEVEN = `execution_id TEXT NOT NULL, node_name TEXT NOT NULL, state JSONB NOT NULL, metadata JSONB,
  timestamp TIMESTAMPTZ NOT NULL, version INTEGER NOT NULL`;

/** Tables that have our name and are not ours, and what the error says of them. */
const FOREIGN: Array<[what: string, columns: string, says: RegExp]> = [
  [
    "LangGraph's PostgresSaver's",
    `thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL DEFAULT '', checkpoint_id TEXT NOT NULL,
     parent_checkpoint_id TEXT, type TEXT, checkpoint JSONB NOT NULL, metadata JSONB NOT NULL DEFAULT '{}',
     PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)`,
    /looks like LangGraph's PostgresSaver's\): column id is missing/,
  ],
  [
    'one that lacks a column',
    'id TEXT PRIMARY KEY, execution_id TEXT NOT NULL',
    /column node_name is missing/,
  ],
  [
    'one with another type',
    `id TEXT PRIMARY KEY, ${SEVEN.replace('state JSONB', 'state TEXT')}`,
    /column state is text, not jsonb/,
  ],
  [
    'one with another type of ours',
    `id TEXT PRIMARY KEY, ${SEVEN}, write_seq INTEGER`,
    /column write_seq is integer, not bigint/,
  ],
  ['one without a primary key', `id TEXT, ${SEVEN}`, /has no primary key on id/],
  [
    'one whose key has two columns',
    `id TEXT, ${SEVEN}, PRIMARY KEY (id, version)`,
    /has no primary key on id/,
  ],
  [
    'one with a column that must be filled',
    `id TEXT PRIMARY KEY, ${SEVEN}, tenant TEXT NOT NULL`,
    /has a column tenant that must be filled/,
  ],
];

describe('a table of the same name that is not ours', () => {
  it.each(FOREIGN)('such as %s is refused, and nothing is changed', async (_, columns, says) => {
    const place = await testPlace();
    const { pool, schema } = place;
    await pool.query(`CREATE TABLE ${schema}.checkpoints (${columns})`);
    const before = await columnsOf(place);
    const mismatch = {
      name: 'SchemaMismatchError',
      code: 'SCHEMA_MISMATCH',
      table: `${schema}.checkpoints`,
      message: expect.stringMatching(says),
    };
    await expect(plainStore(place).initSchema()).rejects.toMatchObject(mismatch);
    await expect(testStore(place).initSchema()).rejects.toMatchObject(mismatch);
    await expect(testWriter(place).start()).rejects.toMatchObject(mismatch);
    expect(await columnsOf(place)).toEqual(before);
    expect(await columnsOf(place, 'checkpoints_tombstones')).toEqual([]);
  });

  it('is refused too where it is a view, or was changed after it was made', async () => {
    const viewed = await testPlace();
    await viewed.pool.query(`CREATE TABLE ${viewed.schema}.other (id TEXT PRIMARY KEY, ${SEVEN})`);
    await viewed.pool.query(
      `CREATE VIEW ${viewed.schema}.checkpoints AS SELECT * FROM ${viewed.schema}.other`,
    );
    await expect(plainStore(viewed).initSchema()).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' });

    const changed = await testPlace();
    await plainStore(changed).initSchema();
    await changed.pool.query(`ALTER TABLE ${changed.schema}.checkpoints ADD tenant TEXT NOT NULL`);
    await expect(plainStore(changed).initSchema()).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' });
  });

  it('may have columns more that fill themselves', async () => {
    const place = await testPlace();
    await place.pool.query(
      `CREATE TABLE ${place.schema}.checkpoints (id TEXT PRIMARY KEY, ${SEVEN},
         note TEXT, made TIMESTAMPTZ NOT NULL DEFAULT now(), number BIGINT GENERATED ALWAYS AS IDENTITY)`,
    );
    await startWriter(place);
    const checkpoint = newCheckpoint();
    await testStore(place).save(checkpoint, { ack: 'committed' });
    expect((await plainStore(place).load(checkpoint.id)).id).toBe(checkpoint.id);
  });
});

describe('migrate', () => {
  it('makes tables, in a schema that it creates, and does nothing the second time', async () => {
    const place = await testPlace();
    await place.pool.query(`DROP SCHEMA ${place.schema}`);
    const database = new Database(place.postgres);
    onTestFinished(() => database.close());
    const names = tableNames({ schema: place.schema });
    expect(await schemaVersion(database, names)).toBe(0);
    await migrate(database, names);
    await migrate(database, names);
    expect(await schemaVersion(database, names)).toBe(SCHEMA_VERSION);
    expect(await columnsOf(place)).toEqual([
      'id',
      'execution_id',
      'node_name',
      'state',
      'metadata',
      'timestamp',
      'version',
      'write_seq',
    ]);
    const { rows } = await place.pool.query<{ indexdef: string }>(
      `SELECT indexdef FROM pg_indexes WHERE schemaname = $1 AND tablename = 'checkpoints' ORDER BY indexname`,
      [place.schema],
    );
    expect(rows.map(({ indexdef }) => indexdef.replace(/^.* USING /, ''))).toEqual([
      'btree (id)',
      'btree (execution_id, "timestamp", version)',
      'btree ("timestamp")',
    ]);
  });

  it('refuses tables of a newer release', async () => {
    const place = await testPlace();
    await plainStore(place).initSchema();
    await place.pool.query(
      `INSERT INTO ${place.schema}.checkpoints_migrations (version) VALUES (${SCHEMA_VERSION + 1})`,
    );
    const newer = expect.stringContaining(`has schema version ${SCHEMA_VERSION + 1}`);
    await expect(testWriter(place).start()).rejects.toMatchObject({
      code: 'SCHEMA_MISMATCH',
      message: newer,
    });
  });

  it('lets six replicas start at once on an empty database, with stores that save already', async () => {
    const place = await testPlace();
    await place.pool.query(`DROP SCHEMA ${place.schema}`);
    const stores = [1, 2, 3].map(() => plainStore(place));
    await Promise.all([
      ...Array.from({ length: 6 }, () => startWriter(place)),
      ...stores.map((store) => store.save(newCheckpoint())),
    ]);
    await testStore(place).save(newCheckpoint(), { ack: 'committed' });
    const { rows } = await place.pool.query(`SELECT count(*)::int AS n FROM ${place.schema}.checkpoints`);
    expect(rows).toEqual([{ n: 4 }]);
  });

  it('keeps tables of several names in one schema apart', async () => {
    const place = await testPlace();
    const { postgres, schema } = place;
    const stores = ['one', 'x'.repeat(52)].map(
      (table) => new PostgresCheckpointStore({ postgres, schema, table }),
    );
    onTestFinished(async () => {
      await Promise.all(stores.map((store) => store.close()));
    });
    await Promise.all(stores.map((store) => store.initSchema()));
    const checkpoint = newCheckpoint();
    await stores[0]?.save(checkpoint);
    await expect(stores[1]?.load(checkpoint.id)).rejects.toMatchObject({ code: 'CHECKPOINT_NOT_FOUND' });
    await stores[1]?.clear(checkpoint.executionId);
    expect((await stores[0]?.load(checkpoint.id))?.id).toBe(checkpoint.id);
  });
});
