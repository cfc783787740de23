import type pg from 'pg';
import { parseDsn } from './dsn.js';

export interface BoundedPoolOptions {
  /** Tells its connections from others in pg_stat_activity. */
  readonly name: string;
  /** Most connections. */
  readonly max: number;
  /** Longest time until there is a connection, and until a query ends; milliseconds. */
  readonly timeoutMs: number;
}

/** For looks at a server that may answer nothing: what takes too long fails, and its connection is given up. */
export function boundedPool(dsn: string, { name, max, timeoutMs }: BoundedPoolOptions): pg.PoolConfig {
  return {
    ...parseDsn(dsn),
    application_name: name,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    min: 0,
    max,
  };
}
