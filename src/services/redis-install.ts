import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { run } from './run.js';

/** Where programs are looked for, whether one may be installed, and who is told. */
export interface InstallOptions {
  env?: NodeJS.ProcessEnv | undefined;
  onProgress?: ((message: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * The path of a redis-server or valkey-server. Installs redis-server with the system's package manager when there is
 * none, unless `CKPT_NO_INSTALL=1`. A service that the package itself starts on port 6379 is left alone.
 */
export async function redisServerProgram(options: InstallOptions = {}): Promise<string> {
  const env = options.env ?? process.env;
  const found = await findRedisServer(env);
  if (found) return found;
  if (env.CKPT_NO_INSTALL === '1') {
    throw new Error(
      'no redis-server or valkey-server is on the PATH, and CKPT_NO_INSTALL=1 forbids installing one',
    );
  }
  await installRedisServer(env, options);
  const installed = await findRedisServer(env);
  if (!installed) throw new Error('redis-server was installed, but is not on the PATH');
  return installed;
}

async function findRedisServer(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  return (await findProgram('redis-server', env)) ?? (await findProgram('valkey-server', env));
}

async function findProgram(name: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const folder of (env.PATH ?? '').split(delimiter).filter(Boolean)) {
    const path = join(folder, name);
    const executable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (executable) return path;
  }
  return undefined;
}

async function installRedisServer(env: NodeJS.ProcessEnv, options: InstallOptions): Promise<void> {
  const { onProgress, signal } = options;
  if (await findProgram('apt-get', env)) {
    const aptGet = await aptGetCommand(env);
    onProgress?.('installing redis-server with apt-get');
    const [command = 'apt-get', ...args] = aptGet;
    try {
      await run(command, [...args, 'update'], { env, signal });
    } catch (error) {
      // One unreachable repository fails the update; the package may well be known without it.
      signal?.throwIfAborted();
      onProgress?.(`apt-get update failed, trying to install all the same: ${String(error)}`);
    }
    await run(command, [...args, 'install', '-y', 'redis-server'], { env, signal });
  } else if (await findProgram('brew', env)) {
    onProgress?.('installing redis with brew');
    await run('brew', ['install', 'redis'], { env, signal });
  } else {
    throw new Error('no redis-server or valkey-server is on the PATH, nor apt-get or brew to install one');
  }
}

async function aptGetCommand(env: NodeJS.ProcessEnv): Promise<string[]> {
  const aptGet = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get'];
  if (process.getuid?.() === 0) return aptGet;
  try {
    await run('sudo', ['-n', 'true'], { env });
  } catch (cause) {
    throw new Error('no redis-server is on the PATH, and apt-get needs root or sudo without a password', {
      cause,
    });
  }
  return ['sudo', '-n', ...aptGet];
}
