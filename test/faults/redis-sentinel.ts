import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll } from 'vitest';
import { GuardedFolder } from '../../src/services/guarded-folder.js';
import { LocalServer } from '../../src/services/local-server.js';
import { redisServerProgram } from '../../src/services/redis-install.js';
import { startRedis } from '../../src/services/redis-server.js';

const MASTER_NAME = 'ours';
const SENTINELS = 3;
/** So soon a master that is silent is taken for dead. */
const DOWN_AFTER_MS = 1000;
const POLL_MS = 20;

/** A master, its replica, and three Sentinels that watch them, as real servers of the test file's own. */
export class RedisSentinelServers {
  private constructor(
    readonly master: LocalServer,
    readonly replica: LocalServer,
    private readonly sentinels: readonly LocalServer[],
  ) {}

  static async start(): Promise<RedisSentinelServers> {
    const master = await startRedis();
    const replica = await startRedis({ args: ['--replicaof', `127.0.0.1 ${master.port}`] });
    const sentinels = await Promise.all(Array.from({ length: SENTINELS }, () => startSentinel(master)));
    const servers = new RedisSentinelServers(master, replica, sentinels);
    await Promise.all(sentinels.map(watching));
    return servers;
  }

  get url(): string {
    const hosts = this.sentinels.map(({ port }) => `127.0.0.1:${port}`);
    return `redis-sentinel://${hosts.join(',')}/0?master=${MASTER_NAME}`;
  }

  /** Resolves when the replica is a master. */
  promoted(): Promise<void> {
    return asking(this.replica, async (client) => {
      return /role:master/.test(await client.info('replication'));
    });
  }

  async stop(): Promise<void> {
    await Promise.all([...this.sentinels, this.replica, this.master].map((server) => server.stop()));
  }
}

/** Call it at the top level of the file; what a test kills stays dead. */
export function ownRedisSentinel(): () => RedisSentinelServers {
  let servers: RedisSentinelServers | undefined;
  beforeAll(async () => {
    servers = await RedisSentinelServers.start();
  });
  afterAll(() => servers?.stop());
  return () => {
    if (!servers) throw new Error('the servers are there from the first test to the last');
    return servers;
  };
}

async function startSentinel(master: LocalServer): Promise<LocalServer> {
  const folder = await GuardedFolder.create('sentinel');
  const config = join(folder.path, 'sentinel.conf');
  const settings = [
    `monitor ${MASTER_NAME} 127.0.0.1 ${master.port} 2`,
    `down-after-milliseconds ${MASTER_NAME} ${DOWN_AFTER_MS}`,
    `failover-timeout ${MASTER_NAME} 5000`,
  ];
  await writeFile(config, settings.map((setting) => `sentinel ${setting}\n`).join(''));
  return LocalServer.start({
    name: 'redis-sentinel',
    folder,
    command: await redisServerProgram({}),
    args: (port) => [config, '--sentinel', '--bind', '127.0.0.1', '--port', String(port)],
    env: { ...process.env, LC_ALL: 'C' },
    url: (port) => `redis://127.0.0.1:${port}`,
    probe: async (port) => {
      const client = new Redis({ host: '127.0.0.1', port, lazyConnect: true, retryStrategy: () => null });
      client.on('error', () => {});
      try {
        await client.connect();
      } finally {
        client.disconnect();
      }
    },
    shutdownSignal: 'SIGTERM',
    stopSignal: 'SIGTERM',
  });
}

/** Resolves when it knows the replica and the other Sentinels. */
function watching(sentinel: LocalServer): Promise<void> {
  return asking(sentinel, async (client) => {
    const fields = (await client.call('SENTINEL', 'MASTER', MASTER_NAME)) as string[];
    const count = (name: string) => Number(fields[fields.indexOf(name) + 1]);
    return count('num-slaves') === 1 && count('num-other-sentinels') === SENTINELS - 1;
  });
}

/** Asks until it is so. */
async function asking(server: LocalServer, isSo: (client: Redis) => Promise<boolean>): Promise<void> {
  const client = new Redis(server.url);
  try {
    while (!(await isSo(client))) await delay(POLL_MS);
  } finally {
    client.disconnect();
  }
}
