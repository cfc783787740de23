import { access, rm, writeFile } from 'node:fs/promises';
import { findProgram, installWithAptGet } from '../../src/services/package-install.js';

/** Debian's scripts ask this program whether they may start a service that they have installed. */
const POLICY = '/usr/sbin/policy-rc.d';
const NOT_ALLOWED = '#!/bin/sh\nexit 101\n';

/**
 * The path of a pgbouncer. Where there is none, root has it installed by apt-get, unless `CKPT_NO_INSTALL=1`, and the service that
 * comes with it is not started.
 * @returns undefined where there is none and none may be installed
 */
export async function pgbouncerProgram(): Promise<string | undefined> {
  // Where it is, the PATH of a plain user often does not lead.
  const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/usr/local/sbin` };
  const find = () => findProgram(['pgbouncer'], env);
  const found = await find();
  if (found) return found;
  const mayInstall = process.env.CKPT_NO_INSTALL !== '1' && process.getuid?.() === 0;
  if (!mayInstall || !(await findProgram(['apt-get'], env))) return undefined;
  await withoutServices(() => installWithAptGet('pgbouncer', { onProgress: console.log }));
  return find();
}

async function withoutServices(install: () => Promise<void>): Promise<void> {
  const ruled = await access(POLICY).then(
    () => true,
    () => false,
  );
  if (!ruled) await writeFile(POLICY, NOT_ALLOWED, { mode: 0o755 });
  try {
    await install();
  } finally {
    if (!ruled) await rm(POLICY);
  }
}
