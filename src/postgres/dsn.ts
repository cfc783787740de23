import pg, { type PoolConfig } from 'pg';
import { InvalidConfigError } from '../errors.js';

const PROTOCOLS = new Set(['postgres:', 'postgresql:', 'socket:']);
/** In place of a host that is left out behind a user, which `pg` takes and the WHATWG parser does not. */
const NO_HOST = 'no-host.invalid';
const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * A DSN with the pool parameters of pgx (`pool_max_conns`, `pool_min_conns`, `pool_max_conn_lifetime=30m`,
 * `pool_max_conn_idle_time=5m`) as a pool configuration of `pg`. All other parameters are left to `pg`,
 * which connects to one host alone and takes no notice of `target_session_attrs`. A Unix socket is named as `pg` has it:
 * `postgresql://user@/db?host=/directory`, `socket:/directory?db=db` or `/directory db`.
 * @throws InvalidConfigError naming the parameter; the DSN, which holds a password, is not repeated.
 */
export function parseDsn(dsn: string, field = 'postgres'): PoolConfig {
  if (dsn.startsWith('/')) return { connectionString: checkedByPg(dsn, field) };
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
    connectionString: checkedByPg(url.toString().replace(`@${NO_HOST}`, '@'), field),
    ...(max !== undefined && { max }),
    ...(min !== undefined && { min }),
    ...(lifetime !== undefined && { maxLifetimeSeconds: Math.max(1, Math.round(lifetime / 1000)) }),
    ...(idle !== undefined && { idleTimeoutMillis: idle }),
  };
}

function parseUrl(dsn: string, field: string): URL {
  const authority = /^\w+:\/\/([^/?#]*)/.exec(dsn)?.[1] ?? '';
  if (authority.slice(authority.lastIndexOf('@') + 1).includes(',')) throw severalHosts(field);
  const url = urlOf(dsn) ?? urlOf(dsn.replace('@/', `@${NO_HOST}/`));
  if (!url || !PROTOCOLS.has(url.protocol)) {
    throw new InvalidConfigError(
      field,
      'must be a URL like postgresql://user:password@host:5432/database, or postgresql://user@/database?host=/directory for a Unix socket',
    );
  }
  // A password with these characters ends the authority early: the rest of it would pass as path or fragment.
  if (url.hash !== '' || url.pathname.includes('@')) {
    throw new InvalidConfigError(field, 'has a # or / in its password: write them as %23 and %2F');
  }
  if (url.searchParams.get('host')?.includes(',')) throw severalHosts(field);
  return url;
}

function urlOf(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined; // Node's error holds the whole input, password included.
  }
}

/** `pg` reads a DSN when a connection is made, and throws errors without a field there. @returns the same. @throws InvalidConfigError */
function checkedByPg(dsn: string, field: string): string {
  try {
    new pg.Client({ connectionString: dsn });
    return dsn;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const problem =
      error instanceof URIError
        ? 'has a % that starts no code: write it as %25'
        : code !== undefined && /^E[A-Z]+$/.test(code)
          ? `names a file in sslcert, sslkey or sslrootcert that cannot be read: ${code}`
          : 'is no DSN that pg can read';
    throw new InvalidConfigError(field, problem);
  }
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
