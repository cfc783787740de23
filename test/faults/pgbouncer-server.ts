import { chown, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from '../../src/services/free-port.js';
import { GuardedFolder } from '../../src/services/guarded-folder.js';
import { LocalServer } from '../../src/services/local-server.js';
import { postgresIdentity } from '../../src/services/postgres-programs.js';

/** Settings of a test, beside those that every pgbouncer here has. */
export type PgBouncerSettings = Record<string, string | number>;

/**
 * Starts a pgbouncer of our own on 127.0.0.1 that pools transactions, with three server connections, before a PostgreSQL. Whoever
 * starts it stops it; it also ends with the process that started it.
 */
export async function startPgBouncer(
  program: string,
  postgres: string,
  settings: PgBouncerSettings = {},
): Promise<LocalServer> {
  // As PostgreSQL, it does not run as root.
  const identity = await postgresIdentity();
  const folder = await GuardedFolder.create('pgbouncer');
  const port = await freePort();
  const target = new URL(postgres);
  const files = {
    'pgbouncer.ini': iniFile(target, folder.path, { listen_port: port, ...settings }),
    'users.txt': `"${decodeURIComponent(target.username)}" "${decodeURIComponent(target.password)}"\n`,
  };
  const url = new URL(postgres);
  url.hostname = '127.0.0.1';
  url.port = String(port);
  try {
    for (const [name, text] of Object.entries(files)) {
      await writeFile(join(folder.path, name), text, { mode: 0o600 });
      if (identity) await chown(join(folder.path, name), identity.uid, identity.gid);
    }
    if (identity) await chown(folder.path, identity.uid, identity.gid);
    return await LocalServer.start(
      {
        name: 'pgbouncer',
        folder,
        command: program,
        args: () => [join(folder.path, 'pgbouncer.ini')],
        env: { PATH: process.env.PATH, LC_ALL: 'C' },
        identity,
        url: () => url.toString(),
        probe: () => answers(url.toString()),
        shutdownSignal: 'SIGINT',
        stopSignal: 'SIGTERM',
      },
      { port },
    );
  } catch (error) {
    await folder.release();
    throw error;
  }
}

function iniFile({ hostname, port }: URL, folder: string, settings: PgBouncerSettings): string {
  const ours = {
    listen_addr: '127.0.0.1',
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: join(folder, 'users.txt'),
    pool_mode: 'transaction',
    default_pool_size: 3,
    max_client_conn: 500,
    ...settings,
  };
  const lines = Object.entries(ours).map(([name, value]) => `${name} = ${value}`);
  return ['[databases]', `* = host=${hostname} port=${port || 5432}`, '[pgbouncer]', ...lines, ''].join('\n');
}

async function answers(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 2000 });
  client.on('error', () => {}); // its calls reject anyway
  await client.connect();
  await client.query('SELECT 1').finally(() => client.end());
}
