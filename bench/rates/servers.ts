import { existsSync } from 'node:fs';
import pg from 'pg';
import { startPostgres } from '../../src/services/embedded-postgres.js';
import { startRedis } from '../../src/services/redis-server.js';
import { parentOf } from './proc.js';

/** Of Debian's package. It has lz4, which the one of the package embedded-postgres lacks. */
const SYSTEM_POSTGRES = '/usr/lib/postgresql/15/bin';
/** For the pools of twenty producers. */
const POSTGRES_ARGS = ['-c', 'max_connections=500'];

export interface RatesServers {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  /** Which PostgreSQL it is, for people. */
  readonly postgres: string;
  readonly postmasterPid: number;
  readonly redisPid: number;
}

/** Lends servers on this machine, always our own: their CPU is read by process id. */
export async function withRatesServers<T>(
  { onProgress, signal }: { onProgress: (message: string) => void; signal: AbortSignal },
  use: (servers: RatesServers) => Promise<T>,
): Promise<T> {
  const installed = existsSync(`${SYSTEM_POSTGRES}/postgres`);
  const programs = { initdb: `${SYSTEM_POSTGRES}/initdb`, postgres: `${SYSTEM_POSTGRES}/postgres` };
  const postgres = await startPostgres({
    ...(installed && { programs }),
    args: POSTGRES_ARGS,
    onProgress,
    signal,
  });
  try {
    const redis = await startRedis({ onProgress, signal });
    try {
      if (redis.pid === undefined) throw new Error('Redis ended');
      const { version, postmasterPid } = await identify(postgres.url);
      return await use({
        databaseUrl: postgres.url,
        redisUrl: redis.url,
        postgres: `${version}, ${installed ? 'installed on this machine' : 'of the package embedded-postgres'}`,
        postmasterPid,
        redisPid: redis.pid,
      });
    } finally {
      await redis.stop();
    }
  } finally {
    await postgres.stop();
  }
}

async function identify(databaseUrl: string): Promise<{ version: string; postmasterPid: number }> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ version: string; pid: number }>(
      `SELECT current_setting('server_version') AS version, pg_backend_pid() AS pid`,
    );
    const { version, pid } = rows[0] as { version: string; pid: number };
    return { version: `PostgreSQL ${version}`, postmasterPid: parentOf(pid) };
  } finally {
    await client.end();
  }
}
