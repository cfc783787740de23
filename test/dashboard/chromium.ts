import { type Browser, chromium } from 'playwright-core';
import { findProgram, type InstallOptions, installWithAptGet } from '../../src/services/package-install.js';

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome'];

/** A browser to test with, or why there is none and what to do about it. */
export type Chromium = { path: string } | { missing: string };

/** The Chromium on the PATH. As root it is installed where there is none, unless `CKPT_NO_INSTALL=1`. */
export async function findChromium(options: InstallOptions = {}): Promise<Chromium> {
  const env = options.env ?? process.env;
  const found = await findProgram(PROGRAMS, env);
  if (found) return { path: found };
  const wanted = `no ${PROGRAMS.join(', ')} is on the PATH: install one, with apt-get install chromium, say`;
  if (env.CKPT_NO_INSTALL === '1') return { missing: `${wanted}; CKPT_NO_INSTALL=1 forbids to do it here` };
  if (process.getuid?.() !== 0 || !(await findProgram(['apt-get'], env))) return { missing: wanted };
  try {
    await installWithAptGet('chromium', options);
  } catch (error) {
    return { missing: `${wanted}; installing it failed: ${String(error)}` };
  }
  const installed = await findProgram(PROGRAMS, env);
  return installed ? { path: installed } : { missing: `${wanted}; apt-get installed none` };
}

/** As it also runs in a container: as root, and with little shared memory. */
export function launchChromium(path: string): Promise<Browser> {
  return chromium.launch({ executablePath: path, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}
