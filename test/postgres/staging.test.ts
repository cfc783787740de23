import { expect, test } from 'vitest';
import { stagingTable } from '../../src/postgres/staging.js';
import { testPlace } from '../store/place.js';

test('a staging table is made once for a connection, and compresses by lz4 exactly where the server can', async () => {
  const { pool } = await testPlace();
  const sql = stagingTable('staging_of_test', ['id INTEGER', 'value BYTEA'], ['value']);
  const client = await pool.connect();
  await client.query(`BEGIN; ${sql}; INSERT INTO pg_temp.staging_of_test VALUES (1, '')`);
  await client.query(sql);

  const { rows } = await client.query(`
    SELECT a.attcompression AS compression, (SELECT count(*)::int FROM pg_temp.staging_of_test) AS kept,
        (SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression') AS lz4
      FROM pg_attribute a WHERE a.attrelid = 'pg_temp.staging_of_test'::regclass AND a.attname = 'value'`);
  await client.query('COMMIT');

  expect(rows).toEqual([{ compression: rows[0].lz4 ? 'l' : '', kept: 1, lz4: expect.any(Boolean) }]);
  expect((await client.query('SELECT FROM pg_temp.staging_of_test')).rowCount).toBe(0);
  client.release();
});
