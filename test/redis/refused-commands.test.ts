import { Redis } from 'ioredis';
import { expect, it, onTestFinished } from 'vitest';
import { queueKeys } from '../../src/redis/queue-keys.js';
import { checkRights, PRODUCER_COMMANDS } from '../../src/redis/rights.js';
import { reserve } from '../../src/redis/sequence.js';
import { ownRedis } from '../faults/services.js';
import { testQueue } from '../services.js';

const server = ownRedis();

function open(options: { username?: string; password?: string } = {}): Redis {
  const client = new Redis(server().url, options);
  onTestFinished(() => client.disconnect());
  return client;
}

it.each(['set', 'rename', 'persist', 'zadd', 'unlink', 'exists'])(
  'a reservation leaves no payload without an index entry when Redis refuses %s',
  async (command) => {
    const admin = open();
    const keys = queueKeys({ queue: testQueue() });
    await admin.call('ACL', 'SETUSER', command, 'on', '>secret', '~*', '+@all', `-${command}`);
    const client = open({ username: command, password: 'secret' });
    const reservation = { records: 1, payload: Buffer.from('x'), executions: ['e'], maxQueueDepth: 0 };
    const retry = { token: 'token', forMs: 1000 };
    await reserve(client, keys, { ...reservation, retry }).catch(() => {});
    for (const key of await admin.keys(`${keys.payloadPrefix}*`)) {
      const indexed = await admin.zscore(keys.chunks, key.slice(keys.payloadPrefix.length));
      expect(indexed !== null || (await admin.pttl(key)) > 0, key).toBe(true);
    }
  },
);

it('checkRights() fails when Redis has no memory left to try the commands', async () => {
  const client = open();
  await client.config('SET', 'maxmemory', '1');
  onTestFinished(async () => void (await client.config('SET', 'maxmemory', '0')));
  await expect(checkRights(client, queueKeys({ queue: testQueue() }), PRODUCER_COMMANDS)).rejects.toThrow();
});
