import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Database } from '../../src/postgres/database.js';
import { tableNames } from '../../src/postgres/identifiers.js';
import { migrate } from '../../src/postgres/schema.js';
import { CheckpointTable } from '../../src/store/checkpoint-table.js';
import { runCli } from '../cli/cli.js';
import { type Place, testPlace, testStore } from './place.js';

const ROWS = 24_600;

async function placeWithTables(): Promise<{ place: Place; checkpoints: string; estimate: Estimate }> {
  const place = await testPlace();
  await testStore(place).initSchema();
  const database = new Database(place.postgres);
  onTestFinished(() => database.close());
  const table = new CheckpointTable(database, tableNames(place));
  return { place, checkpoints: `${place.schema}.checkpoints`, estimate: () => table.estimatedRows() };
}

type Estimate = () => Promise<number | undefined>;

/** Its statistics are there for others afterwards. */
async function inOneSession({ postgres }: Place, ...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: postgres });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
    await client.query('SELECT pg_stat_force_next_flush()');
  } finally {
    await client.end();
  }
}

function insert(table: string, count: number, from = 1): string {
  return `INSERT INTO ${table} (id, execution_id, node_name, state, timestamp, version, write_seq)
    SELECT n::text, 'run', 'node', '{}', now(), 1, n FROM generate_series(${from}, ${from + count - 1}) n`;
}

/** Autovacuum may come in between and correct a figure. */
async function expectAbout(estimate: Estimate, rows: number): Promise<void> {
  await expect
    .poll(estimate, { timeout: 20_000 })
    .toSatisfy((found) => found >= rows * 0.9 && found <= rows * 1.1);
}

describe('the estimate of the rows', () => {
  it('is 0 of an empty table, and of one that is missing', async () => {
    const { place, checkpoints, estimate } = await placeWithTables();
    expect(await estimate()).toBe(0);
    await place.pool.query(`DROP TABLE ${checkpoints}`);
    expect(await estimate()).toBe(0);
  });

  it('is right of a table that was never analysed', async () => {
    const { place, checkpoints, estimate } = await placeWithTables();
    await inOneSession(
      place,
      `ALTER TABLE ${checkpoints} SET (autovacuum_enabled = false)`,
      insert(checkpoints, ROWS),
    );
    await expectAbout(estimate, ROWS);
  });

  it('is right of a partitioned table', async () => {
    const place = await testPlace();
    const database = new Database(place.postgres);
    onTestFinished(() => database.close());
    const names = tableNames({ schema: place.schema, table: 'parted', partitionBy: 'month' });
    await migrate(database, names);
    const table = new CheckpointTable(database, names);
    const rows = Array.from({ length: 50 }, (_, index) => ({
      id: `checkpoint ${index}`,
      executionId: 'run',
      nodeName: 'node',
      state: '{}',
      metadata: null,
      timestamp: new Date(Date.UTC(2020, index % 12)),
      version: 1,
    }));
    await table.write(rows);
    await expectAbout(() => table.estimatedRows(), rows.length);
  });

  it('does not count what was deleted since the table was analysed', async () => {
    const { place, checkpoints, estimate } = await placeWithTables();
    await inOneSession(place, insert(checkpoints, ROWS), `ANALYZE ${checkpoints}`);
    await inOneSession(place, `DELETE FROM ${checkpoints} WHERE write_seq > 1000`);
    await expectAbout(estimate, 1000);
  });

  it('grows with the table where a crash has taken the statistics of it', async () => {
    const { place, checkpoints, estimate } = await placeWithTables();
    await inOneSession(
      place,
      `ALTER TABLE ${checkpoints} SET (autovacuum_enabled = false)`,
      insert(checkpoints, ROWS),
      `ANALYZE ${checkpoints}`,
    );
    await inOneSession(place, 'SET track_counts = off', insert(checkpoints, ROWS, ROWS + 1));
    await place.pool.query(`SELECT pg_stat_reset_single_table_counters('${checkpoints}'::regclass)`);
    await expectAbout(estimate, 2 * ROWS);
  });

  it('is missing while there are no statistics, and "ckpt stats" says so', async () => {
    const { place, checkpoints, estimate } = await placeWithTables();
    await inOneSession(
      place,
      `ALTER TABLE ${checkpoints} SET (autovacuum_enabled = false)`,
      'SET track_counts = off',
      insert(checkpoints, 10),
    );
    expect(await estimate()).toBeUndefined();
    const env = { CKPT_SCHEMA: place.schema, CKPT_QUEUE: place.queue };
    expect((await runCli(['stats'], env)).stdout).toMatch(/^rows, about +\(not analysed yet\)$/m);
    expect(JSON.parse((await runCli(['stats', '--json'], env)).stdout)).toMatchObject({
      rows: null,
      rowsUnknown: 'not analysed',
    });
    await place.pool.query(`ANALYZE ${checkpoints}`);
    expect(await estimate()).toBe(10);
  }, 120_000);
});
