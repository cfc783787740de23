import pg from 'pg';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { type PostgresServerOptions, startPostgres } from '../../src/services/embedded-postgres.js';
import type { LocalServer } from '../../src/services/local-server.js';
import { type RedisServerOptions, startRedis } from '../../src/services/redis-server.js';

export interface OwnRedisOptions extends RedisServerOptions {
  /** `always` loses nothing acknowledged by a power cut, `everysec`, the default, about a second. */
  appendfsync?: 'always' | 'everysec' | 'no';
}

/**
 * A PostgreSQL of this test file's own, which its tests may stop, kill, suspend and restart: started before the first of
 * them, brought back after each, removed after the last. Call it at the top level of the file or in a `describe`.
 */
export function ownPostgres(options: PostgresServerOptions = {}): () => LocalServer {
  return own(() => startPostgres(options));
}

/** A Redis of this test file's own, with an append-only file; as `ownPostgres`. */
export function ownRedis({ appendfsync = 'everysec', ...options }: OwnRedisOptions = {}): () => LocalServer {
  const args = ['--appendfsync', appendfsync, ...(options.args ?? [])];
  return own(() => startRedis({ ...options, args }));
}

function own(start: () => Promise<LocalServer>): () => LocalServer {
  let server: LocalServer | undefined;
  const running = () => {
    if (!server) throw new Error('the server is there from the first test to the last');
    return server;
  };
  beforeAll(async () => {
    server = await start();
  });
  // Before what is closed with the test, which may need it.
  afterEach(async () => {
    await running().kill('SIGCONT');
    if (running().pid === undefined) await running().restart();
  });
  afterAll(() => server?.stop());
  return running;
}

/** Runs SQL over a connection of its own. */
export async function execute(url: string, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {}); // its query rejects anyway
  await client.connect();
  try {
    return await client.query(sql);
  } finally {
    await client.end();
  }
}
