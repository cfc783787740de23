import { findProgram, type InstallOptions, installWithAptGet } from './package-install.js';
import { run } from './run.js';

const PROGRAMS = ['redis-server', 'valkey-server'];

/**
 * The path of a redis-server or valkey-server. Installs redis-server with the system's package manager when there is
 * none, unless `CKPT_NO_INSTALL=1`. A service that the package itself starts on port 6379 is left alone.
 */
export async function redisServerProgram(options: InstallOptions = {}): Promise<string> {
  const env = options.env ?? process.env;
  const found = await findProgram(PROGRAMS, env);
  if (found) return found;
  if (env.CKPT_NO_INSTALL === '1') {
    throw new Error(
      'no redis-server or valkey-server is on the PATH, and CKPT_NO_INSTALL=1 forbids installing one',
    );
  }
  await installRedisServer(env, options);
  const installed = await findProgram(PROGRAMS, env);
  if (!installed) throw new Error('redis-server was installed, but is not on the PATH');
  return installed;
}

async function installRedisServer(env: NodeJS.ProcessEnv, options: InstallOptions): Promise<void> {
  if (await findProgram(['apt-get'], env)) {
    await installWithAptGet('redis-server', options);
  } else if (await findProgram(['brew'], env)) {
    options.onProgress?.('installing redis with brew');
    await run('brew', ['install', 'redis'], { env, signal: options.signal });
  } else {
    throw new Error('no redis-server or valkey-server is on the PATH, nor apt-get or brew to install one');
  }
}
