import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { compressionVerdict } from '../../src/doctor/postgres-checks.js';
import { Database } from '../../src/postgres/database.js';
import { migrateGraphTables } from '../../src/postgres/graph-schema.js';
import { graphTableNames } from '../../src/postgres/graph-tables.js';
import { tableNames } from '../../src/postgres/identifiers.js';
import { expectedIndexes, indexesOf, serves } from '../../src/postgres/indexes.js';
import { SCHEMA_VERSION } from '../../src/postgres/schema.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { diagnosis } from './diagnosis.js';

/** A place with its tables. */
async function placeWithTables(): Promise<Place & { checkpoints: string }> {
  const place = await testPlace();
  await testStore(place).initSchema();
  return { ...place, checkpoints: `${place.schema}.checkpoints` };
}

describe('the doctor, on the tables,', () => {
  it('is content with those that the schema changes make', async () => {
    const found = await diagnosis(await placeWithTables());
    for (const [check, { severity }] of Object.entries(found)) {
      if (check.startsWith('postgres.')) expect({ check, severity }).toEqual({ check, severity: 'ok' });
    }
    expect(found['postgres.schema']?.seen).toContain(`schema version ${SCHEMA_VERSION}`);
    expect(found['postgres.indexes']?.seen).toBe('all 8 are there');
  });

  it('says that they are missing, behind or of a newer release', async () => {
    const place = await testPlace();
    const schemaOf = async () => (await diagnosis(place))['postgres.schema'];
    expect(await schemaOf()).toMatchObject({ severity: 'error', todo: 'ckpt init' });

    await testStore(place).initSchema();
    const migrations = `${place.schema}.checkpoints_migrations`;
    await place.pool.query(`DELETE FROM ${migrations} WHERE version > 1`);
    expect(await schemaOf()).toMatchObject({
      severity: 'error',
      seen: `${place.schema}.checkpoints has version 1; this release needs version ${SCHEMA_VERSION}`,
      todo: 'ckpt init',
    });

    await place.pool.query(`INSERT INTO ${migrations} (version) VALUES (99)`);
    expect(await schemaOf()).toMatchObject({ severity: 'error', seen: expect.stringContaining('99') });
  });

  it('says that those of LangGraph are not in use, well or incomplete', async () => {
    const place = await testPlace();
    const look = async () => (await diagnosis(place, { graphSchema: place.schema }))['postgres.langgraph'];
    expect(await look()).toMatchObject({ severity: 'ok', seen: 'not in use' });
    await migrateGraphTables(new Database(place.pool), graphTableNames(place.schema));
    expect(await look()).toMatchObject({
      severity: 'ok',
      seen: `${place.schema}.checkpoints has schema version 1`,
    });
    await place.pool.query(`DROP TABLE ${place.schema}.checkpoint_blobs`);
    expect(await look()).toMatchObject({ severity: 'error', todo: expect.stringContaining('setup()') });
  });

  it('does not send its checkpoint where it would create tables', async () => {
    const place = await testPlace();
    await startWriter(place);
    await place.pool.query(`DROP TABLE ${place.schema}.checkpoints`);
    expect((await diagnosis(place))['pipeline.probe']).toMatchObject({
      severity: 'warning',
      seen: 'left out: see postgres.schema',
    });
    const { rows } = await place.pool.query('SELECT to_regclass($1) AS found', [
      `${place.schema}.checkpoints`,
    ]);
    expect(rows).toEqual([{ found: null }]);
  });

  it.each([
    ['a dropped index', 'DROP INDEX $.idx_checkpoints_execution_id', 'idx_checkpoints_execution_id'],
    ['a dropped index of the tombstones', 'DROP INDEX $.idx_checkpoints_due', 'idx_checkpoints_due'],
    ['a lost primary key', 'ALTER TABLE $.checkpoints DROP CONSTRAINT checkpoints_pkey', 'checkpoints_pkey'],
    [
      'an index whose creation was broken off',
      "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '$.idx_checkpoints_timestamp'::regclass",
      'idx_checkpoints_timestamp',
    ],
  ])('finds %s, and what it says to do mends it', async (_, harm, index) => {
    const place = await placeWithTables();
    await place.pool.query(harm.replaceAll('$', place.schema));

    const { 'postgres.indexes': finding } = await diagnosis(place);
    expect(finding).toMatchObject({ severity: 'error', seen: `missing or not valid: ${index}` });
    for (const statement of finding?.todo?.split(';') ?? []) await place.pool.query(statement);

    expect((await diagnosis(place))['postgres.indexes']).toMatchObject({ severity: 'ok' });
  });

  it('finds an index that is none of ours and that nobody uses', async () => {
    const place = await placeWithTables();
    await place.pool.query(insertRows(place.checkpoints, 30_000));
    await place.pool.query(`CREATE INDEX extra ON ${place.checkpoints} (node_name, id)`);
    expect((await diagnosis(place))['postgres.index-use']).toMatchObject({
      severity: 'warning',
      seen: expect.stringMatching(/^never used since the statistics were reset: extra \(\d/),
    });
  });

  it('finds reads that go through the whole table', async () => {
    const place = await placeWithTables();
    await inOneSession(place, [
      insertRows(place.checkpoints, 10_000),
      'SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off',
      ...Array.from({ length: 101 }, () => `SELECT count(*) FROM ${place.checkpoints}`),
      FLUSH_STATISTICS,
    ]);
    expect((await diagnosis(place))['postgres.index-use']).toMatchObject({
      severity: 'warning',
      todo: expect.stringContaining('ANALYZE'),
    });
  });

  it('finds dead rows that nobody clears away, and a table without autovacuum', async () => {
    const place = await placeWithTables();
    await inOneSession(place, [
      `ALTER TABLE ${place.checkpoints} SET (autovacuum_enabled = false)`,
      insertRows(place.checkpoints, 12_000),
      `DELETE FROM ${place.checkpoints}`,
      FLUSH_STATISTICS,
    ]);
    const found = await diagnosis(place);
    expect(found['postgres.dead-tuples']).toMatchObject({
      severity: 'warning',
      seen: expect.stringContaining('checkpoints 0 rows, 12000 dead'),
    });
    expect(found['postgres.autovacuum']).toMatchObject({
      severity: 'error',
      seen: `switched off for ${place.checkpoints}: it grows without end`,
    });
  });

  it('tells of lz4 where the server has it and states are compressed otherwise', async () => {
    const { rows } = await (await testPlace()).pool.query(
      "SELECT 'lz4' = ANY (enumvals) AS lz4 FROM pg_settings WHERE name = 'default_toast_compression'",
    );
    const finding = (await diagnosis(await placeWithTables()))['postgres.compression'];
    expect(finding?.seen.endsWith('this server was built without lz4')).toBe(!rows[0].lz4);

    const unused = compressionVerdict({ available: true, used: false }, 'public."checkpoints"');
    expect(unused.todo).toContain('ALTER TABLE public."checkpoints" ALTER COLUMN state SET COMPRESSION lz4');
    expect(compressionVerdict({ available: true, used: true }, 't')).toEqual({
      severity: 'ok',
      seen: 'states are compressed with lz4',
    });
  });

  it('goes on with the others where one check gets no answer', async () => {
    const place = await placeWithTables();
    const client = await place.pool.connect();
    onTestFinished(async () => {
      await client.query('ROLLBACK');
      client.release();
    });
    await client.query(`BEGIN; LOCK TABLE ${place.schema}.checkpoints_migrations`);
    const found = await diagnosis(place, {}, 1000);
    expect(found['postgres.schema']).toMatchObject({
      severity: 'error',
      seen: expect.stringMatching(/^not known: /),
    });
    expect(found['postgres.indexes']).toMatchObject({ severity: 'ok' });
    expect(found['queue.depth']).toMatchObject({ severity: 'ok' });
  });
});

it('the indexes that are expected are those that the schema changes make, and no others', async () => {
  const place = await placeWithTables();
  const database = new Database(place.pool);
  for (const [table, expected] of expectedIndexes(tableNames({ schema: place.schema }))) {
    const found = await indexesOf(database, table);
    expect(found.map(({ name }) => name).sort()).toEqual(expected.map(({ name }) => name).sort());
    for (const index of expected) expect(found.filter((one) => serves(one, index))).toHaveLength(1);
  }
});

const FLUSH_STATISTICS = 'SELECT pg_stat_force_next_flush()';

function insertRows(table: string, count: number): string {
  return `INSERT INTO ${table} (id, execution_id, node_name, state, timestamp, version)
    SELECT n::text, 'run', 'a node with a name', '{}', now(), 1 FROM generate_series(1, ${count}) n`;
}

/** The statistics of a session are there for others when its next transaction ends. */
async function inOneSession({ postgres }: Place, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: postgres });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
