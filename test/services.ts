import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { inject } from 'vitest';
import type { Period } from '../src/postgres/identifiers.js';

declare module 'vitest' {
  interface ProvidedContext {
    databaseUrl: string;
    redisUrl: string;
    /** How the checkpoint table of each place is partitioned; undefined: not, and the test finds none. */
    partitionBy: Period | undefined;
  }
}

/** A schema that only one test uses. */
export interface TestSchema {
  schema: string;
  drop(): Promise<void>;
}

/** The PostgreSQL and the Redis that the whole test run shares. */
export function services(): { databaseUrl: string; redisUrl: string } {
  return { databaseUrl: inject('databaseUrl'), redisUrl: inject('redisUrl') };
}

/** Creates a schema of its own for a test; `drop()` removes it with all that is in it. */
export async function testSchema(databaseUrl = services().databaseUrl): Promise<TestSchema> {
  const schema = `test_${uniqueSuffix()}`;
  await execute(databaseUrl, `CREATE SCHEMA ${schema}`);
  return { schema, drop: () => execute(databaseUrl, `DROP SCHEMA IF EXISTS ${schema} CASCADE`) };
}

/** A queue name that only one test uses. */
export function testQueue(): string {
  return `test-${uniqueSuffix()}`;
}

function uniqueSuffix(): string {
  return randomUUID().replaceAll('-', '');
}

async function execute(connectionString: string, statement: string): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
