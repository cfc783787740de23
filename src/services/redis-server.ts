import { Redis } from 'ioredis';
import { GuardedFolder } from './guarded-folder.js';
import { LocalServer } from './local-server.js';
import type { InstallOptions } from './package-install.js';
import { redisServerProgram } from './redis-install.js';
import { redisArguments } from './settings.js';

const PROBE_TIMEOUT_MS = 1_000;

export interface RedisServerOptions extends InstallOptions {
  /** Default: a free one. */
  port?: number;
  /** Kept after `stop()`. Default: a temporary folder, deleted by `stop()`. */
  directory?: string;
  /** Keep what it holds in an append-only file, synced every second. Default: true. */
  appendOnly?: boolean;
  /** More arguments for redis-server; they win over ours. */
  args?: string[];
}

/** Starts a redis-server (or valkey-server) of our own on 127.0.0.1; installs one if need be and allowed. */
export async function startRedis(options: RedisServerOptions = {}): Promise<LocalServer> {
  const command = await redisServerProgram(options);
  const folder = await GuardedFolder.create('redis', options.directory);
  try {
    return await LocalServer.start(
      {
        name: 'redis-server',
        folder,
        command,
        args: (port) => [
          ...['--bind', '127.0.0.1', '--port', String(port), '--dir', folder.path],
          ...redisArguments(options.appendOnly ?? true),
          ...(options.args ?? []),
        ],
        env: { ...process.env, LC_ALL: 'C' },
        url: (port) => `redis://127.0.0.1:${port}`,
        probe: (port) => probe(port, folder.path),
        shutdownSignal: 'SIGTERM',
        stopSignal: 'SIGTERM',
      },
      options,
    );
  } catch (error) {
    await folder.release();
    throw error;
  }
}

/** The folder tells our server from another one that took the port first. */
async function probe(port: number, directory: string): Promise<void> {
  const client = new Redis({ host: '127.0.0.1', port, lazyConnect: true, retryStrategy: () => null });
  const timeout = setTimeout(() => client.disconnect(), PROBE_TIMEOUT_MS);
  // connect() rejects with the same error.
  client.on('error', () => {});
  try {
    await client.connect();
    const [, served] = (await client.config('GET', 'dir')) as string[];
    if (served !== directory) throw new Error(`another Redis answers on port ${port}`);
  } finally {
    clearTimeout(timeout);
    client.disconnect();
  }
}
