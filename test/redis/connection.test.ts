import { inspect } from 'node:util';
import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { QueueUnavailableError } from '../../src/index.js';
import {
  asQueueUnavailable,
  RedisConnection,
  type RedisOption,
  redisErrorText,
  throttledErrorLog,
} from '../../src/redis/connection.js';
import { withDeadline } from '../../src/redis/deadline.js';
import { queueKeys } from '../../src/redis/queue-keys.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { services } from '../services.js';
import { testPlace, testStore, testWriter } from '../store/place.js';

const KEYS = queueKeys({});
const SECRET = 'secret-of-the-state';

/** As ioredis throws it: the arguments of the command travel along. */
function replyError(message: string): Error {
  return Object.assign(new Error(message), { name: 'ReplyError', command: { name: 'set', args: [SECRET] } });
}

describe('an error of Redis', () => {
  it.each([
    ["OOM command not allowed when used memory > 'maxmemory'.", 'ReplyError: OOM command not allowed'],
    [
      `ERR Error running script (call to f_1): @user_script:1: ${SECRET}`,
      'ReplyError: ERR Error running script',
    ],
    [`WRONGTYPE Operation: ${SECRET}`, 'ReplyError: WRONGTYPE Operation'],
  ])('is told by its first words: %s', (message, told) => {
    expect(redisErrorText(replyError(message))).toMatch(told);
    expect(redisErrorText(replyError(message))).not.toContain(SECRET);
  });

  it('says that there is no connection', () => {
    const error = new Error("Stream isn't writeable and enableOfflineQueue options is false");
    expect(redisErrorText(error)).toBe('not connected');
  });

  it('is told by its code where it has one, and never by what was thrown instead of an error', () => {
    expect(redisErrorText(Object.assign(new Error(SECRET), { code: 'ECONNREFUSED' }))).toBe('ECONNREFUSED');
    expect(redisErrorText(SECRET)).toBe('unknown error');
  });

  it('becomes a QueueUnavailableError that keeps nothing of the command', () => {
    const error = asQueueUnavailable(replyError('OOM'), 'enqueueing');
    expect(error).toBeInstanceOf(QueueUnavailableError);
    expect(error.message).toContain('enqueueing');
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(SECRET);
    expect(error.cause).toBeUndefined();
    expect(asQueueUnavailable(error, 'again')).toBe(error);
  });
});

describe('throttledErrorLog', () => {
  it('tells the first of many errors, and at the next time how many there were', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const warn = vi.fn();
    const log = throttledErrorLog({ debug: warn, info: warn, warn, error: warn }, 'lost');
    for (let i = 0; i < 1000; i++) log(new Error('again'));
    vi.advanceTimersByTime(5000);
    log(new Error('again'));
    log(new Error('again'));
    expect(warn.mock.calls).toEqual([
      [{ error: 'Error: again' }, 'lost'],
      [{ error: 'Error: again', suppressed: 999 }, 'lost'],
    ]);
  });
});

describe('withDeadline', () => {
  it('gives what the work gives, or throws what it throws, before the deadline', async () => {
    expect(await withDeadline(performance.now() + 10_000, Promise.resolve(7), 'counting')).toBe(7);
    const failure = new Error('of the work');
    await expect(withDeadline(performance.now() + 10_000, Promise.reject(failure), 'counting')).rejects.toBe(
      failure,
    );
  });

  it('rejects at the deadline, and takes no notice of what the work comes to', async () => {
    let fail = (_: Error) => {};
    const work = new Promise<never>((_, reject) => {
      fail = reject;
    });
    const late = expect.objectContaining({
      code: 'QUEUE_UNAVAILABLE',
      message: expect.stringContaining('counting'),
    });
    await expect(withDeadline(performance.now() + 20, work, 'counting')).rejects.toEqual(late);
    fail(new Error('too late'));
    await expect(withDeadline(0, new Promise(() => {}), 'counting')).rejects.toEqual(late);
  });
});

describe('RedisConnection', () => {
  it('leaves a connection of the application open, with no listener of ours', async () => {
    const theirs = new Redis(services().redisUrl);
    onTestFinished(() => theirs.disconnect());
    const listeners = () => [theirs.listenerCount('error'), theirs.listenerCount('close')];
    const first = listeners();
    const connection = new RedisConnection(theirs, KEYS, 'commands');
    expect(connection.client).toBe(theirs);
    connection.close();
    connection.close();
    expect(await theirs.ping()).toBe('PONG');
    expect(listeners()).toEqual(first);
  });

  it('takes a duplicate of it for a worker, which waits for Redis, and closes that', async () => {
    const theirs = new Redis(services().redisUrl);
    onTestFinished(() => theirs.disconnect());
    const connection = new RedisConnection(theirs, KEYS, 'worker');
    const { client } = connection;
    expect(client).not.toBe(theirs);
    expect(client.options).toMatchObject({ maxRetriesPerRequest: null });
    expect(await client.ping()).toBe('PONG');
    connection.close();
    await vi.waitFor(() => expect(client.status).toBe('end'));
    expect(await theirs.ping()).toBe('PONG');
  });

  it('counts how often the connection was lost', async () => {
    const connection = new RedisConnection(services().redisUrl, KEYS, 'commands');
    onTestFinished(() => connection.close());
    await vi.waitFor(() => expect(connection.ready).toBe(true));
    const { epoch, client } = connection;
    client.disconnect(true);
    await vi.waitFor(() => expect(connection.epoch).toBe(epoch + 1));
    await vi.waitFor(() => expect(connection.ready).toBe(true));
  });

  describe('of an idle worker', () => {
    const LIMITS = { commandTimeout: 300, socketTimeout: 300, blockingTimeout: 300 };

    it.each<[what: string, redis: () => RedisOption]>([
      ['a client', () => theirs(LIMITS)],
      [
        'a client that gives up soon',
        () => theirs({ ...LIMITS, maxRetriesPerRequest: 1, enableOfflineQueue: false }),
      ],
      ['a client that checks nothing', () => theirs({ enableReadyCheck: false, enableAutoPipelining: true })],
      ['options', () => ({ ...optionsOf(services().redisUrl), ...LIMITS })],
      [
        'a URL',
        () =>
          `${services().redisUrl}?commandTimeout=300&socketTimeout=300&blockingTimeout=300&enableOfflineQueue=false`,
      ],
    ])('takes further jobs where limits of %s would cut its blocking call', async (_, given) => {
      const place = await testPlace();
      const writer = testWriter(place, { redis: given() });
      await writer.start();
      const store = testStore(place);
      await store.save(newCheckpoint(), { ack: 'committed' });
      const idle = performance.now();
      await vi.waitFor(() => expect(performance.now() - idle).toBeGreaterThan(1500), { timeout: 5000 });
      const began = performance.now();
      await store.save(newCheckpoint(), { ack: 'committed' });
      expect(performance.now() - began).toBeLessThan(4000);
    });

    it('leaves the options of a given client as they are', () => {
      const client = theirs(LIMITS);
      for (const purpose of ['commands', 'worker'] as const) {
        const connection = new RedisConnection(client, KEYS, purpose);
        onTestFinished(() => connection.close());
      }
      expect(client.options).toMatchObject(LIMITS);
    });

    function theirs(options: RedisOptions): Redis {
      const client = new Redis(services().redisUrl, options);
      client.on('error', () => {});
      onTestFinished(() => client.disconnect());
      return client;
    }

    function optionsOf(url: string): RedisOptions {
      const { hostname: host, port } = new URL(url);
      return { host, port: Number(port || 6379) };
    }
  });

  it('takes options of ioredis', async () => {
    const { hostname, port } = new URL(services().redisUrl);
    const connection = new RedisConnection({ host: hostname, port: Number(port || 6379) }, KEYS, 'worker');
    onTestFinished(() => connection.close());
    expect(await connection.client.ping()).toBe('PONG');
  });
});

describe('RedisConnection to a Cluster', () => {
  it.each(['commands', 'worker'] as const)(
    'refuses a prefix without a hash tag, to a connection for %s',
    (purpose) => {
      const cluster = unconnected();
      for (const redis of [cluster, 'redis-cluster://127.0.0.1:1']) {
        for (const prefix of ['bull', '{}', 'ckpt}', '{ckpt']) {
          expect(() => new RedisConnection(redis, queueKeys({ prefix }), purpose)).toThrow(
            expect.objectContaining({
              code: 'INVALID_CONFIG',
              field: 'prefix',
              problem: expect.stringContaining('{ckpt}'),
            }),
          );
        }
      }
      expect(cluster.status).toBe('wait');
    },
  );

  it('takes a hash tag in the prefix or in the name of the queue', () => {
    const cluster = unconnected();
    for (const place of [{ prefix: 'a-{b}' }, { queue: '{orders}' }]) {
      new RedisConnection(cluster, queueKeys(place), 'commands').close();
    }
  });

  it('refuses to read from replicas, which may not know of a job yet', () => {
    const cluster = unconnected({ scaleReads: 'all' });
    expect(() => new RedisConnection(cluster, queueKeys({ prefix: '{ckpt}' }), 'commands')).toThrow(
      'scaleReads',
    );
  });

  function unconnected(options: ClusterOptions = {}): Cluster {
    const cluster = new Cluster([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true, ...options });
    cluster.on('error', () => {});
    onTestFinished(() => cluster.disconnect());
    return cluster;
  }
});
