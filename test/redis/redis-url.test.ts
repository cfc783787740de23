import fc from 'fast-check';
import { Cluster, Redis } from 'ioredis';
import { describe, expect, it, onTestFinished } from 'vitest';
import { InvalidConfigError } from '../../src/errors.js';
import { checkedUrl, openUrl } from '../../src/redis/redis-url.js';

/** What the URL opens, which connects to nothing. */
function opened(url: string): Redis | Cluster {
  const client = openUrl(url, { redis: { lazyConnect: true }, cluster: { lazyConnect: true } });
  client.on('error', () => {});
  onTestFinished(() => client.disconnect());
  return client;
}

function problemOf(url: string): InvalidConfigError {
  try {
    checkedUrl(url);
  } catch (error) {
    return error as InvalidConfigError;
  }
  throw new Error('nothing was thrown');
}

describe('the URL of a Redis Cluster', () => {
  it('names some of its nodes, and the user of all', () => {
    const client = opened('redis-cluster://me:p%40ss@one.example:7000,two.example,[::1]:7002') as Cluster;
    expect(client).toBeInstanceOf(Cluster);
    expect(client.options.redisOptions).toEqual({ username: 'me', password: 'p@ss' });
    expect(Reflect.get(client, 'startupNodes')).toEqual([
      { host: 'one.example', port: 7000 },
      { host: 'two.example', port: 6379 },
      { host: '::1', port: 7002 },
    ]);
  });

  it('may ask for TLS', () => {
    const client = opened('rediss-cluster://:secret@one') as Cluster;
    expect(client.options.redisOptions).toEqual({ password: 'secret', tls: {} });
  });
});

describe('the URL of Sentinels', () => {
  it('names them, the master that they know, its database, and the users of both', () => {
    const client = opened(
      'redis-sentinel://me:secret@one:26380,two/3?master=mymaster&sentinel_username=s&sentinel_password=p%26',
    );
    expect(client).toBeInstanceOf(Redis);
    expect(client.options).toMatchObject({
      sentinels: [
        { host: 'one', port: 26_380 },
        { host: 'two', port: 26_379 },
      ],
      name: 'mymaster',
      db: 3,
      username: 'me',
      password: 'secret',
      sentinelUsername: 's',
      sentinelPassword: 'p&',
    });
  });

  it('may ask for TLS, to Sentinels and servers', () => {
    expect(opened('rediss-sentinel://one?master=m').options).toMatchObject({
      tls: {},
      sentinelTLS: {},
      enableTLSForSentinelMode: true,
    });
  });
});

it('the URL of a single Redis is left to ioredis', () => {
  expect(opened('redis://me:secret@host:1234/5').options).toMatchObject({
    host: 'host',
    port: 1234,
    db: 5,
    username: 'me',
    password: 'secret',
  });
});

it.each([
  ['redis-cluster://:hunter2@one,two/1', 'database'],
  ['redis-cluster://:hunter2@one,two?master=hunter2', 'parameters'],
  ['redis-cluster://:hunter2@one:0', 'must be a URL'],
  ['redis-cluster://:hunter2@one:99999', 'must be a URL'],
  ['redis-cluster://:hunter2@one,,two', 'must be a URL'],
  ['redis-cluster://:hunter/2@one', 'must be a URL'],
  ['redis-cluster://:hunter2%@one', '%25'],
  ['redis-cluster://', 'must be a URL'],
  ['redis://:hunter%ss@one', '%25'],
  ['rediss://hunter%E0%A4%A:hunter2@one/3', '%25'],
  ['redis-sentinel://:hunter2@one', '?master='],
  ['redis-sentinel://:hunter2@one/hunter2?master=m', 'must be a URL'],
  ['redis-sentinel://:hunter2@one?master=m&hunter2=1', 'sentinel_password'],
  ['redis://:hunter2@one,two', 'must be a URL'],
  ['memcached://:hunter2@one', 'must be a URL'],
])('%s is refused without being repeated', (url, problem) => {
  const error = problemOf(url);
  expect(error).toBeInstanceOf(InvalidConfigError);
  expect(error.field).toBe('redis');
  expect(error.message).toContain(problem);
  expect(error.message).not.toContain('hunter');
});

it('whatever text is a URL, it is taken by ioredis as well, or refused with the name of the field and without its password', () => {
  const part = fc.oneof(fc.string(), fc.constantFrom('%', '%zz', '%E0%A4%A', '@', '/', '#', '?', ':', ','));
  const urls = fc
    .record({
      scheme: fc.constantFrom(
        'redis',
        'rediss',
        'redis-cluster',
        'redis-sentinel',
        'rediss-sentinel',
        'http',
        '',
      ),
      user: part,
      secret: fc.stringMatching(/^SECRET[%@/#?:,a-f0-9]{0,6}$/),
      host: fc.constantFrom('one', 'one:6379', '[::1]:1', '', 'one,two', 'one:port'),
      path: fc.constantFrom('', '/', '/0', '/x'),
      query: fc.constantFrom('', '?master=m', '?family=6', '?%E0%A4'),
    })
    .map(
      ({ scheme, user, secret, host, path, query }) => `${scheme}://${user}:${secret}@${host}${path}${query}`,
    );
  fc.assert(
    fc.property(urls, (url) => {
      try {
        openUrl(url, { redis: { lazyConnect: true }, cluster: { lazyConnect: true } }).disconnect();
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidConfigError);
        expect((error as InvalidConfigError).message).not.toContain('SECRET');
      }
    }),
    { numRuns: 2000 },
  );
});
