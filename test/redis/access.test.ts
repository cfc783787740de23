import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished } from 'vitest';
import { accessErrorOf } from '../../src/redis/access.js';
import { TcpProxy } from '../faults/tcp-proxy.js';
import { testPlace } from '../store/place.js';

describe('accessErrorOf', () => {
  it('finds nothing in the error of a transaction whose connection is lost, which lists itself', async () => {
    const place = await testPlace();
    const proxy = await TcpProxy.before(place.redis);
    const client = new Redis(proxy.url, { maxRetriesPerRequest: 0, retryStrategy: null });
    client.on('error', () => {});
    onTestFinished(() => client.disconnect());
    await client.ping();
    proxy.stall();
    const transaction = client.multi().get('a').exec();
    client.disconnect();
    const error = (await transaction.catch((thrown: unknown) => thrown)) as { previousErrors?: unknown[] };
    expect(error).toBeInstanceOf(Error);
    expect(error.previousErrors).toContain(error);
    expect(accessErrorOf(error)).toBeUndefined();
  });

  it('finds the refusal of a command of a transaction', () => {
    const refused = new Error("NOPERM User a has no permissions to run the 'get' command");
    const error = Object.assign(new Error('EXECABORT Transaction discarded'), { previousErrors: [refused] });
    expect(accessErrorOf(error)).toMatchObject({ code: 'REDIS_ACCESS', command: 'get' });
  });
});
