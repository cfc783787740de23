import fc from 'fast-check';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { InvalidConfigError } from '../../src/errors.js';
import { duration, parseDsn } from '../../src/postgres/dsn.js';

const INVALID = (field: string) => expect.objectContaining({ code: 'INVALID_CONFIG', field });

describe('parseDsn', () => {
  it('reads the pool parameters of pgx and leaves the rest to pg', () => {
    const dsn =
      'postgresql://user:p%40ss@host:5433/db?pool_max_conns=7&sslmode=require&pool_min_conns=0' +
      '&pool_max_conn_lifetime=30m&pool_max_conn_idle_time=1h30m&application_name=a%20b';
    const { connectionString, ...pool } = parseDsn(dsn);
    expect(pool).toEqual({ max: 7, min: 0, maxLifetimeSeconds: 1800, idleTimeoutMillis: 5_400_000 });
    const url = new URL(connectionString as string);
    expect([url.username, url.password, url.host, url.pathname]).toEqual([
      'user',
      'p%40ss',
      'host:5433',
      '/db',
    ]);
    expect([...url.searchParams.keys()]).toEqual(['sslmode', 'application_name']);
  });

  it('sets nothing that is not given', () => {
    expect(Object.keys(parseDsn('postgres://host/db'))).toEqual(['connectionString']);
  });

  it.each([
    ['pool_max_conns', '0'],
    ['pool_max_conns', 'ten'],
    ['pool_max_conns', '1.5'],
    ['pool_min_conns', '-1'],
    ['pool_max_conn_lifetime', '30'],
    ['pool_max_conn_idle_time', '5 m'],
  ])('refuses %s of %s by name', (name, value) => {
    const parse = () => parseDsn(`postgres://u:secret@host/db?${name}=${value}`);
    expect(parse).toThrow(INVALID(`postgres: ${name}`));
    expect(parse).not.toThrow(/secret/);
  });

  it.each([
    'postgresql://u:secret@a:5432,b:5433/db?target_session_attrs=read-write',
    'postgresql://u:sec,ret@a,b/db',
    'postgresql://a:5432,b:5432/db',
    'postgresql://a,b/db',
    'postgresql:///db?host=a,b',
  ])('refuses several hosts, which pg would take for one name: %s', (dsn) => {
    expect(() => parseDsn(dsn, 'readPostgres')).toThrow(INVALID('readPostgres'));
    expect(() => parseDsn(dsn)).toThrow(/several hosts/);
    expect(() => parseDsn(dsn)).not.toThrow(/sec,?ret/);
  });

  it('takes a comma in a password, and target_session_attrs of one host', () => {
    const dsn = 'postgresql://u:a,b@host/db?target_session_attrs=read-write';
    expect(parseDsn(dsn).connectionString).toContain('@host/db');
  });

  it.each(['', 'secret', 'mysql://u:secret@host/db', 'postgres://u:secret@host:port/db'])(
    'refuses what is no DSN, without repeating it: %s',
    (dsn) => {
      expect(() => parseDsn(dsn)).toThrow(INVALID('postgres'));
      expect(() => parseDsn(dsn)).not.toThrow(/secret/);
    },
  );
});

describe('a DSN of a Unix socket', () => {
  const client = (dsn: string) => new pg.Client(parseDsn(dsn));
  it.each([
    'postgresql://u@/db?host=/run/sockets',
    'postgresql://u@/db?host=%2Frun%2Fsockets&pool_max_conns=3',
    'postgresql://u@%2Frun%2Fsockets/db',
    'postgresql:///db?host=/run/sockets&user=u',
    'socket:/run/sockets?db=db&user=u',
    'socket://u@/run/sockets?db=db',
  ])('is taken as pg takes it: %s', (dsn) => {
    expect(client(dsn)).toMatchObject({ host: '/run/sockets', database: 'db', user: 'u' });
  });

  it('may be a directory and a database', () => {
    expect(client('/run/sockets db')).toMatchObject({ host: '/run/sockets', database: 'db' });
  });

  it('may leave out the host behind a user with a password', () => {
    expect(client('postgresql://u:p%40s@/db?host=/s')).toMatchObject({
      host: '/s',
      user: 'u',
      password: 'p@s',
    });
  });
});

describe('whatever text is a DSN', () => {
  it('is taken, and then by pg as well, or refused with the name of the field and without its password', () => {
    const part = fc.oneof(
      fc.string(),
      fc.constantFrom('%', '%zz', '%E0%A4%A', '@', '/', '#', '?', ':', ',', ''),
    );
    const texts = fc
      .record({
        scheme: fc.constantFrom('postgres://', 'postgresql://', 'socket:', 'socket://', '/', ''),
        user: part,
        secret: fc.stringMatching(/^SECRET[%@/#?:,a-f0-9]{0,6}$/),
        host: fc.constantFrom('h', 'h:5432', '', '[::1]', '%2Ftmp', 'a,b', 'h:port'),
        database: part,
        query: fc.constantFrom(
          '',
          '?host=/s',
          '?pool_max_conns=2',
          '?sslmode=require',
          '?sslrootcert=/none',
          '?%E0%A4',
        ),
      })
      .map(({ scheme, user, secret, host, database, query }) => {
        return `${scheme}${user}:${secret}@${host}/${database}${query}`;
      });
    fc.assert(
      fc.property(texts, (dsn) => {
        let config: pg.PoolConfig;
        try {
          config = parseDsn(dsn, 'readPostgres');
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidConfigError);
          expect((error as InvalidConfigError).field).toBe('readPostgres');
          expect((error as InvalidConfigError).message).not.toContain('SECRET');
          return;
        }
        expect(() => new pg.Client(config)).not.toThrow();
      }),
      { numRuns: 2000 },
    );
  });

  it('says which parameter names a file that is not there', () => {
    expect(() => parseDsn('postgres://u:secret@h/db?sslrootcert=/none/ca.pem')).toThrow(
      /sslrootcert.*ENOENT/,
    );
  });
});

describe('duration', () => {
  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['0s', 0],
  ])('reads %s as %d ms', (text, ms) => {
    expect(duration('field', text)).toBe(ms);
  });

  it.each(['', '5', 'm', '-1s', '1s ', '1d', '1s2'])('refuses %j', (text) => {
    expect(() => duration('field', text)).toThrow(INVALID('field'));
  });
});
