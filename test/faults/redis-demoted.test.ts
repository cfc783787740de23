import type { Redis } from 'ioredis';
import { Redis as Client } from 'ioredis';
import { expect, it, onTestFinished } from 'vitest';
import { newCheckpoint } from '../contract/checkpoints.js';
import { startWriter, testPlace, testStore } from '../store/place.js';
import { confirm } from './failover.js';
import { ownRedis } from './services.js';
import { TcpProxy } from './tcp-proxy.js';

// Otherwise a replica waits for five seconds whether another one comes.
const args = ['--repl-diskless-sync-delay', '0'];
const [master, replica] = [ownRedis({ args }), ownRedis({ args })];

function clientOf(url: string): Redis {
  const client = new Client(url);
  client.on('error', () => {});
  onTestFinished(() => client.disconnect());
  return client;
}

it('a master that is demoted, and keeps its connections, is left for the one that its address leads to now', async () => {
  const [first, second] = [clientOf(master().url), clientOf(replica().url)];
  const proxy = await TcpProxy.before(master().url);
  const place = { ...(await testPlace()), redis: proxy.url };
  await startWriter(place);
  const store = testStore(place);
  await store.save(newCheckpoint(), { ack: 'committed' });

  await second.replicaof('127.0.0.1', master().port);
  await confirm(first, 'all of it');
  proxy.pointTo(replica().url);
  await second.replicaof('NO', 'ONE');
  await first.replicaof('127.0.0.1', replica().port);

  const receipt = await store.save(newCheckpoint(), { ack: 'committed' });
  expect(await receipt.committed()).toBe('committed');
});
