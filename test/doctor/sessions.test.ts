import { describe, expect, it } from 'vitest';
import type { Finding } from '../../src/doctor/finding.js';
import { PostgresCheckpointStore } from '../../src/index.js';
import { asSuperuser, testDatabase, testRole } from '../postgres/test-database.js';
import { services, testQueue } from '../services.js';
import { diagnosis } from './diagnosis.js';

async function place(encoding?: string): Promise<{
  admin: string;
  role: string;
  url: string;
  run: (sql: string) => Promise<unknown>;
  look: (url?: string) => Promise<Record<string, Finding>>;
}> {
  const admin = await testDatabase(encoding);
  if (encoding === undefined) {
    const store = new PostgresCheckpointStore({ postgres: admin });
    await store.initSchema();
    await store.close();
  }
  const { role, url } = await testRole(admin);
  const database = new URL(admin).pathname.slice(1);
  const run = (sql: string) => asSuperuser(sql.replaceAll('$', role).replaceAll('@', database), admin);
  await run('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO $');
  const look = (postgres = url) => diagnosis({ redis: services().redisUrl, postgres, queue: testQueue() });
  return { admin, role, url, run, look };
}

describe('the doctor', () => {
  it.each(['LATIN1', 'SQL_ASCII'])('finds a database in %s', async (encoding) => {
    const { look } = await place(encoding);
    const found = await look();
    expect(found['postgres.encoding']).toMatchObject({
      severity: 'error',
      seen: expect.stringContaining(`the encoding ${encoding}`),
      todo: expect.stringContaining("ENCODING 'UTF8'"),
    });
    expect(found['pipeline.probe']).toMatchObject({ seen: 'left out: see postgres.encoding' });
    expect(found['postgres.version']).toMatchObject({ severity: 'ok' });
  });

  it.each([
    ['statement_timeout', '5s', 'warning', '30s'],
    ['statement_timeout', '500ms', 'error', '30s'],
    ['lock_timeout', '1s', 'warning', '5s'],
    ['idle_in_transaction_session_timeout', '200ms', 'warning', '5s'],
    ['idle_session_timeout', '3s', 'warning', '11s'],
  ])('finds that %s is %s for the role', async (setting, value, severity, enough) => {
    const { look, run, role } = await place();
    await run(`ALTER ROLE $ SET ${setting} = '${value}'`);
    const found = (await look())['postgres.timeouts'];
    expect(found).toMatchObject({
      severity,
      seen: expect.stringMatching(new RegExp(`^${setting} is \\d+ ms: `)),
      todo: expect.stringMatching(
        new RegExp(`^ALTER ROLE ${role} IN DATABASE \\w+ SET ${setting} = '${enough}';$`),
      ),
    });
    await run(found?.todo as string);
    expect((await look())['postgres.timeouts']).toMatchObject({ severity: 'ok' });
  });

  it('lets limits be that no work of ours meets, and says where one comes from the DSN', async () => {
    const { look, run, url } = await place();
    await run("ALTER ROLE $ SET statement_timeout = '60s'; ALTER ROLE $ SET idle_session_timeout = '10min'");
    expect((await look())['postgres.timeouts']).toMatchObject({ severity: 'ok' });
    const limited = new URL(url);
    limited.searchParams.set('options', '-c statement_timeout=2000');
    expect((await look(limited.toString()))['postgres.timeouts']).toMatchObject({
      severity: 'warning',
      todo: 'Remove statement_timeout from DATABASE_URL.',
    });
  });

  it.each([
    ['standard_conforming_strings', 'off', 'on'],
    ['session_replication_role', 'replica', 'origin'],
  ])('finds that %s is %s', async (setting, value, instead) => {
    const { look, run } = await place();
    await run(`ALTER ROLE $ IN DATABASE @ SET ${setting} = ${value}`);
    const found = (await look())['postgres.settings'];
    expect(found).toMatchObject({
      severity: 'error',
      seen: expect.stringContaining(`${setting} is ${value}`),
      todo: expect.stringContaining(`SET ${setting} = ${instead};`),
    });
    await run(found?.todo as string);
    expect((await look())['postgres.settings']).toMatchObject({ severity: 'ok' });
  });

  it('finds that the role only reads, and sends nothing', async () => {
    const { look, run } = await place();
    await run('ALTER ROLE $ SET default_transaction_read_only = on');
    const found = await look();
    expect(found['postgres.role']).toMatchObject({ severity: 'error' });
    expect(found['pipeline.probe']).toMatchObject({ seen: 'left out: see postgres.role' });
  });
});

describe('the doctor, on row-level security,', () => {
  const look = async (...statements: string[]) => {
    const database = await place();
    for (const statement of statements) await database.run(statement);
    return { ...database, found: (await database.look())['postgres.row-security'] };
  };
  const ENABLED = 'ALTER TABLE checkpoints ENABLE ROW LEVEL SECURITY';
  const OPEN = 'CREATE POLICY open ON checkpoints TO $ USING (true) WITH CHECK (true)';

  it.each([
    ['without a policy', [ENABLED]],
    [
      'with a policy that lets some through',
      [ENABLED, "CREATE POLICY few ON checkpoints USING (node_name = 'a')"],
    ],
    ['with an open policy that is for another role', [ENABLED, OPEN.replace('$', 'pg_monitor')]],
    [
      'with an open policy for reading alone',
      [ENABLED, 'CREATE POLICY r ON checkpoints FOR SELECT USING (true)'],
    ],
    [
      'with a restrictive policy beside an open one',
      [ENABLED, OPEN, "CREATE POLICY no ON checkpoints AS RESTRICTIVE USING (node_name <> 'secret')"],
    ],
    ['of the tombstones', [ENABLED.replace('checkpoints', 'checkpoints_tombstones')]],
  ])('finds that which hides or refuses rows: %s', async (_, statements) => {
    const { found, run, role, look: again } = await look(...statements);
    expect(found).toMatchObject({
      severity: 'error',
      seen: expect.stringContaining(`applies to ${role} on `),
    });
    await run('DROP POLICY IF EXISTS no ON checkpoints');
    for (const [create] of found?.todo?.matchAll(/CREATE POLICY [^;]*;/g) ?? []) await run(create);
    expect((await again())['postgres.row-security']).toMatchObject({ severity: 'ok' });
  });

  it.each([
    ['none', []],
    ['an open policy', [ENABLED, OPEN]],
    [
      'an open policy for each command',
      [
        ENABLED,
        'CREATE POLICY r ON checkpoints FOR SELECT USING (true)',
        'CREATE POLICY a ON checkpoints FOR INSERT WITH CHECK (true)',
        'CREATE POLICY w ON checkpoints FOR UPDATE USING (true)',
        'CREATE POLICY d ON checkpoints FOR DELETE USING (true)',
      ],
    ],
    ['a role that bypasses it', [ENABLED, 'ALTER ROLE $ BYPASSRLS']],
  ])('is content with %s', async (_, statements) => {
    expect((await look(...statements)).found).toMatchObject({ severity: 'ok' });
  });
});
