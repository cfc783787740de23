import type { PoolConfig } from 'pg';
import { InvalidConfigError } from '../errors.js';

const PROTOCOLS = new Set(['postgres:', 'postgresql:']);
const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * A DSN with the pool parameters of pgx (`pool_max_conns`, `pool_min_conns`, `pool_max_conn_lifetime=30m`,
 * `pool_max_conn_idle_time=5m`) as a pool configuration of `pg`. All other parameters are left to `pg`,
 * which connects to one host alone and takes no notice of `target_session_attrs`.
 * @throws InvalidConfigError naming the parameter; the DSN, which holds a password, is not repeated.
 */
export function parseDsn(dsn: string, field = 'postgres'): PoolConfig {
  const url = parseUrl(dsn, field);
  const take = (name: string): string | undefined => {
    const value = url.searchParams.get(name);
    url.searchParams.delete(name);
    return value ?? undefined;
  };
  const max = poolCount(`${field}: pool_max_conns`, take('pool_max_conns'), 1);
  const min = poolCount(`${field}: pool_min_conns`, take('pool_min_conns'), 0);
  const lifetime = duration(`${field}: pool_max_conn_lifetime`, take('pool_max_conn_lifetime'));
  const idle = duration(`${field}: pool_max_conn_idle_time`, take('pool_max_conn_idle_time'));
  return {
    connectionString: url.toString(),
    ...(max !== undefined && { max }),
    ...(min !== undefined && { min }),
    ...(lifetime !== undefined && { maxLifetimeSeconds: Math.max(1, Math.round(lifetime / 1000)) }),
    ...(idle !== undefined && { idleTimeoutMillis: idle }),
  };
}

function parseUrl(dsn: string, field: string): URL {
  const authority = /^\w+:\/\/([^/?#]*)/.exec(dsn)?.[1] ?? '';
  if (authority.slice(authority.lastIndexOf('@') + 1).includes(',')) throw severalHosts(field);
  let url: URL | undefined;
  try {
    url = new URL(dsn);
  } catch {
    // Node's error holds the whole input, password included.
  }
  if (!url || !PROTOCOLS.has(url.protocol)) {
    throw new InvalidConfigError(field, 'must be a URL like postgresql://user:password@host:5432/database');
  }
  // A password with these characters ends the authority early: the rest of it would pass as path or fragment.
  if (url.hash !== '' || url.pathname.includes('@')) {
    throw new InvalidConfigError(field, 'has a # or / in its password: write them as %23 and %2F');
  }
  if (url.searchParams.get('host')?.includes(',')) throw severalHosts(field);
  return url;
}

function severalHosts(field: string): InvalidConfigError {
  return new InvalidConfigError(
    field,
    'names several hosts, and `pg` connects to one: name one address that leads to the primary (a virtual IP, DNS, HAProxy, PgBouncer)',
  );
}

function poolCount(field: string, text: string | undefined, minimum: number): number | undefined {
  if (text === undefined) return undefined;
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < minimum) {
    throw new InvalidConfigError(field, `must be a whole number of at least ${minimum}`);
  }
  return count;
}

/** A duration as Go writes it (`30m`, `1h30m`, `500ms`), in milliseconds. @throws InvalidConfigError */
export function duration(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) {
    throw new InvalidConfigError(field, 'must be a duration like 500ms, 30s, 30m or 1h30m');
  }
  return parts.reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * (UNIT_MS[unit as string] as number),
    0,
  );
}
