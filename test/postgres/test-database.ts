import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { services } from '../services.js';

/** Runs SQL as the superuser of the test run, in its database unless another one is given. */
export async function asSuperuser(sql: string, url = services().databaseUrl): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {}); // its query rejects anyway
  await client.connect();
  try {
    return await client.query(sql);
  } finally {
    await client.end();
  }
}

/** A database of its own, which goes with the test. */
export async function testDatabase(encoding = 'UTF8'): Promise<string> {
  const name = `db_${randomUUID().replaceAll('-', '')}`;
  await asSuperuser(
    `CREATE DATABASE ${name} ENCODING '${encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
  );
  onTestFinished(async () => {
    await asSuperuser(`DROP DATABASE ${name} WITH (FORCE)`);
  });
  const url = new URL(services().databaseUrl);
  url.pathname = name;
  return url.toString();
}

/** A role that may log in and nothing else. It goes with the test; open its database before it. */
export async function testRole(databaseUrl: string): Promise<{ role: string; url: string }> {
  const role = `role_${randomUUID().replaceAll('-', '')}`;
  await asSuperuser(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
  onTestFinished(async () => {
    await asSuperuser(`DROP OWNED BY ${role} CASCADE`, databaseUrl);
    await asSuperuser(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
  });
  const url = new URL(databaseUrl);
  url.username = role;
  url.password = 'secret';
  return { role, url: url.toString() };
}
