import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startPostgres } from '../../src/services/embedded-postgres.js';
import type { LocalServer } from '../../src/services/local-server.js';
import { run } from '../../src/services/run.js';
import { execute } from './services.js';

const POLL_MS = 20;

export interface ReplicationOptions {
  /** A commit waits until the standby has it, too, as `synchronous_standby_names` says. Default: false. */
  synchronous?: boolean;
  /** More arguments for the standby. */
  standbyArgs?: string[];
}

/**
 * A PostgreSQL and a hot standby of it, by streaming replication. The standby begins as a copy of the stopped primary's folder: that
 * needs no program but the server's.
 */
export class Replication {
  private constructor(
    readonly primary: LocalServer,
    readonly standby: LocalServer,
    private readonly standbyFolder: string,
  ) {}

  static async start({
    synchronous = false,
    standbyArgs = [],
  }: ReplicationOptions = {}): Promise<Replication> {
    const primary = await startPostgres();
    const folder = await mkdtemp(join(tmpdir(), 'checkpoint-queue-standby-'));
    try {
      await copyStopped(primary, folder);
      const standby = await startPostgres({ directory: folder, args: standbyArgs });
      const replication = new Replication(primary, standby, folder);
      await replication.#streaming();
      if (synchronous) await replication.#makeSynchronous();
      return replication;
    } catch (error) {
      await primary.stop();
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Resolves when the standby shows all that the primary has committed until now. */
  async caughtUp(): Promise<void> {
    const lsn = await answerOf(this.primary, 'SELECT pg_current_wal_lsn()');
    await this.#untilTrue(this.standby, `SELECT pg_last_wal_replay_lsn() >= '${lsn}'`);
  }

  /** From now on the standby receives what is committed, and does not show it. */
  async pauseReplay(): Promise<void> {
    await execute(this.standby.url, 'SELECT pg_wal_replay_pause()');
    await this.#untilTrue(this.standby, "SELECT pg_get_wal_replay_pause_state() = 'paused'");
  }

  async resumeReplay(): Promise<void> {
    await execute(this.standby.url, 'SELECT pg_wal_replay_resume()');
  }

  /** Resolves when a statement of this role runs at the standby. */
  async isRunning(role: string): Promise<void> {
    const question = `SELECT count(*) > 0 FROM pg_stat_activity WHERE usename = '${role}' AND wait_event = 'PgSleep'`;
    await this.#untilTrue(this.standby, question);
  }

  /** Makes a primary of the standby. */
  async promote(): Promise<void> {
    await execute(this.standby.url, 'SELECT pg_promote()');
  }

  async stop(): Promise<void> {
    await Promise.all([this.primary.stop(), this.standby.stop()]);
    await rm(this.standbyFolder, { recursive: true, force: true });
  }

  async #streaming(): Promise<void> {
    await this.#untilTrue(
      this.primary,
      "SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'",
    );
  }

  async #makeSynchronous(): Promise<void> {
    await execute(this.primary.url, "ALTER SYSTEM SET synchronous_standby_names = '*'");
    await execute(this.primary.url, 'SELECT pg_reload_conf()');
    await this.#untilTrue(this.primary, "SELECT bool_and(sync_state = 'sync') FROM pg_stat_replication");
  }

  async #untilTrue(server: LocalServer, question: string): Promise<void> {
    while ((await answerOf(server, question)) !== true) await delay(POLL_MS);
  }
}

async function copyStopped(primary: LocalServer, folder: string): Promise<void> {
  await primary.kill('SIGINT');
  // With its owner and modes, on which PostgreSQL insists.
  for (const part of ['data', 'password']) await run('cp', ['-a', join(primary.directory, part), folder]);
  await primary.restart();
  const { hostname, port, username, password } = new URL(primary.url);
  const conninfo = `host=${hostname} port=${port} user=${username} password=${password}`;
  await appendFile(join(folder, 'data', 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
  await writeFile(join(folder, 'data', 'standby.signal'), '');
}

async function answerOf(server: LocalServer, question: string): Promise<unknown> {
  const { rows } = await execute(server.url, question);
  return Object.values(rows[0] as object)[0];
}
