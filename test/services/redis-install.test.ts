import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { findProgram } from '../../src/services/package-install.js';
import { redisServerProgram } from '../../src/services/redis-install.js';

/** The whole PATH of a test. */
let programs: string;

beforeEach(async () => {
  programs = await mkdtemp(join(tmpdir(), 'checkpoint-queue-test-'));
});

afterEach(() => rm(programs, { recursive: true, force: true }));

describe('redisServerProgram', () => {
  it('takes valkey-server where there is no redis-server', async () => {
    const valkey = await program('valkey-server', 'exit 0');
    expect(await redisServerProgram({ env: { PATH: programs } })).toBe(valkey);
    const redis = await program('redis-server', 'exit 0');
    expect(await redisServerProgram({ env: { PATH: programs } })).toBe(redis);
  });

  it('installs redis-server with apt-get, even if the update fails, and says so', async () => {
    const redis = join(programs, 'redis-server');
    await symlink('/usr/bin/env', join(programs, 'env'));
    await program('sudo', 'shift; exec "$@"');
    await program(
      'apt-get',
      `[ "$*" = 'install -y redis-server' ] && echo >${redis} && /bin/chmod +x ${redis} || exit 100`,
    );
    const messages: string[] = [];
    const onProgress = (message: string) => messages.push(message);

    expect(await redisServerProgram({ env: { PATH: programs }, onProgress })).toBe(redis);
    expect(messages[0]).toBe('installing redis-server with apt-get');
    expect(messages[1]).toMatch(/^apt-get update failed/);
  });

  it('ends apt-get when it is broken off', async ({ skip }) => {
    const flock = await findProgram(['flock']);
    if (!flock) return skip('no flock');
    // A lock that nobody else has.
    vi.stubEnv('TMPDIR', programs);
    onTestFinished(() => void vi.unstubAllEnvs());
    await symlink(flock, join(programs, 'flock'));
    await symlink('/usr/bin/env', join(programs, 'env'));
    await program('sudo', 'shift; exec "$@"');
    const pidFile = join(programs, 'pid');
    await program('apt-get', `echo $$ >${pidFile}; exec /bin/sleep 60`);
    const aborting = new AbortController();
    const installing = redisServerProgram({ env: { PATH: programs }, signal: aborting.signal });
    installing.catch(() => {});
    const pid = await vi.waitUntil(async () => Number(await readFile(pidFile, 'utf8').catch(() => '')));
    aborting.abort();
    await expect(installing).rejects.toThrow();
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow());
  });

  it('passes on what the package manager says when it fails', async () => {
    await program('brew', 'echo "no bottle for you" >&2; exit 1');
    await expect(redisServerProgram({ env: { PATH: programs } })).rejects.toThrow('no bottle for you');
  });

  it('explains when nothing can be installed', async () => {
    const env = { PATH: programs };
    await expect(redisServerProgram({ env })).rejects.toThrow(/nor apt-get or brew/);
    await program('brew', 'exit 0');
    await expect(redisServerProgram({ env })).rejects.toThrow(/was installed, but is not on the PATH/);
    await expect(redisServerProgram({ env: { ...env, CKPT_NO_INSTALL: '1' } })).rejects.toThrow(
      /CKPT_NO_INSTALL=1/,
    );
  });
});

async function program(name: string, script: string): Promise<string> {
  const path = join(programs, name);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}
