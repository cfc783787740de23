import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findChromium } from './chromium.js';

/** The whole PATH of a test. */
let programs: string;

beforeEach(async () => {
  programs = await mkdtemp(join(tmpdir(), 'checkpoint-queue-test-'));
});

afterEach(() => rm(programs, { recursive: true, force: true }));

const isRoot = process.getuid?.() === 0;

describe('a Chromium to test with', () => {
  it('is the one on the PATH, whatever its name', async () => {
    const path = await program('google-chrome', 'exit 0');
    expect(await findChromium({ env: { PATH: programs } })).toEqual({ path });
  });

  it.runIf(isRoot)('is installed where there is none', async () => {
    const path = join(programs, 'chromium');
    await symlink('/usr/bin/env', join(programs, 'env'));
    await program(
      'apt-get',
      `[ "$*" = 'install -y chromium' ] && echo >${path} && /bin/chmod +x ${path} || exit 100`,
    );
    expect(await findChromium({ env: { PATH: programs } })).toEqual({ path });
  });

  it('is told to be missing, with what to install, where that is forbidden or not possible', async () => {
    const none = await findChromium({ env: { PATH: programs } });
    expect(none).toEqual({ missing: expect.stringContaining('apt-get install chromium') });
    await program('apt-get', 'echo "no such package" >&2; exit 1');
    const forbidden = await findChromium({ env: { PATH: programs, CKPT_NO_INSTALL: '1' } });
    expect(forbidden).toEqual({ missing: expect.stringContaining('CKPT_NO_INSTALL=1 forbids') });
  });

  it.runIf(isRoot)('is told to be missing with what apt-get says', async () => {
    await symlink('/usr/bin/env', join(programs, 'env'));
    await program('apt-get', 'echo "no such package" >&2; exit 1');
    const failed = await findChromium({ env: { PATH: programs } });
    expect(failed).toEqual({ missing: expect.stringContaining('no such package') });
  });
});

async function program(name: string, script: string): Promise<string> {
  const path = join(programs, name);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}
