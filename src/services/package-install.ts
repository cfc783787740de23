import { access, constants } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { run } from './run.js';

/** Whether programs may be looked for and installed where, and who is told. */
export interface InstallOptions {
  env?: NodeJS.ProcessEnv | undefined;
  onProgress?: ((message: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** The path of the first of these programs that is on the PATH. */
export async function findProgram(
  names: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  for (const name of names) {
    for (const folder of (env.PATH ?? '').split(delimiter).filter(Boolean)) {
      const path = join(folder, name);
      const executable = await access(path, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (executable) return path;
    }
  }
  return undefined;
}

/**
 * Installs a package of Debian's, as root or by sudo without a password.
 * @throws if neither is there, or what apt-get says when it fails
 */
export async function installWithAptGet(packageName: string, options: InstallOptions = {}): Promise<void> {
  const { env = process.env, onProgress, signal } = options;
  const [command = 'apt-get', ...args] = await aptGetCommand(packageName, env);
  onProgress?.(`installing ${packageName} with apt-get`);
  try {
    await run(command, [...args, 'update'], { env, signal });
  } catch (error) {
    // One unreachable repository fails the update; the package may well be known without it.
    signal?.throwIfAborted();
    onProgress?.(`apt-get update failed, trying to install all the same: ${String(error)}`);
  }
  await run(command, [...args, 'install', '-y', packageName], { env, signal });
}

async function aptGetCommand(packageName: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const aptGet = [...(await oneAtATime(env)), 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get'];
  if (process.getuid?.() === 0) return aptGet;
  try {
    await run('sudo', ['-n', 'true'], { env });
  } catch (cause) {
    throw new Error(`no ${packageName} is on the PATH, and apt-get needs root or sudo without a password`, {
      cause,
    });
  }
  return ['sudo', '-n', ...aptGet];
}

/**
 * apt-get fails where another one is at work, as when two test files each find a program missing: the second one waits. Not forked, for
 * what is broken off would go on.
 */
async function oneAtATime(env: NodeJS.ProcessEnv): Promise<string[]> {
  const flock = await findProgram(['flock'], env);
  return flock ? [flock, '--no-fork', join(tmpdir(), 'checkpoint-queue-apt-get.lock')] : [];
}
