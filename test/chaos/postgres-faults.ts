import { type Arena, PASSWORD, ROLE, SCHEMA } from './arena.js';
import type { Chance } from './chance.js';
import { type Fault, lasting, persistently } from './fault.js';

const TERMINATE_EVERY_MS = 50;

/** All faults of PostgreSQL, with what a seed draws for them. */
export function postgresFaults(arena: Arena, chance: Chance): (() => Fault)[] {
  const { postgres, pool } = arena;
  const query = (sql: string) => persistently(() => pool.query(sql));
  const terminate = () =>
    query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${ROLE}'`);
  /** Something that one statement begins and another ends. */
  const between = async (ms: number, signal: AbortSignal, begin: string[], end: string[]) => {
    try {
      for (const sql of begin) await query(sql);
      await terminateOf(begin);
      await lasting(ms, signal);
    } finally {
      for (const sql of end) await query(sql);
    }
  };
  // Limits and passwords are looked at when a connection is made.
  const terminateOf = async (begin: string[]) => {
    if (begin.some((sql) => sql.startsWith('ALTER ROLE'))) await terminate();
  };

  return [
    () => ({
      kind: 'postgres-kill',
      detail: 'kill -9, started again',
      run: async () => {
        await postgres.kill('SIGKILL');
        await postgres.restart();
      },
    }),
    () => {
      const ms = chance.whole(1000, 9000);
      const how = chance.oneOf(['SIGINT', 'SIGQUIT', 'SIGKILL'] as const);
      return {
        kind: 'postgres-down',
        detail: `${how}, for ${ms} ms`,
        run: async (signal) => {
          await postgres.kill(how);
          await lasting(ms, signal);
          await postgres.restart();
        },
      };
    },
    () => {
      const ms = chance.whole(500, 4000);
      return {
        kind: 'postgres-terminate',
        detail: `all connections, again and again for ${ms} ms`,
        run: async (signal) => {
          const end = performance.now() + ms;
          while (performance.now() < end && !signal.aborted) {
            await terminate();
            await lasting(TERMINATE_EVERY_MS, signal);
          }
        },
      };
    },
    () => {
      const ms = chance.whole(1000, 6000);
      return {
        kind: 'postgres-read-only',
        detail: `for ${ms} ms`,
        run: (signal) =>
          between(
            ms,
            signal,
            ['ALTER SYSTEM SET default_transaction_read_only = on', 'SELECT pg_reload_conf()'],
            ['ALTER SYSTEM RESET default_transaction_read_only', 'SELECT pg_reload_conf()'],
          ),
      };
    },
    () => {
      const ms = chance.whole(1000, 6000);
      const limit = chance.whole(0, 3);
      return {
        kind: 'postgres-connection-limit',
        detail: `${limit} connections, for ${ms} ms`,
        run: (signal) =>
          between(
            ms,
            signal,
            [`ALTER ROLE ${ROLE} CONNECTION LIMIT ${limit}`],
            [`ALTER ROLE ${ROLE} CONNECTION LIMIT -1`],
          ),
      };
    },
    () => {
      const ms = chance.whole(1000, 4000);
      return {
        kind: 'postgres-password',
        detail: `another one for ${ms} ms`,
        run: (signal) =>
          between(
            ms,
            signal,
            [`ALTER ROLE ${ROLE} PASSWORD 'another'`],
            [`ALTER ROLE ${ROLE} PASSWORD '${PASSWORD}'`],
          ),
      };
    },
    () => {
      const ms = chance.whole(500, 7000);
      const mode = chance.oneOf(['ACCESS EXCLUSIVE', 'SHARE']);
      return {
        kind: 'postgres-rival-lock',
        detail: `${mode}, for ${ms} ms`,
        run: (signal) => lockTable(arena, mode, ms, signal),
      };
    },
  ];
}

async function lockTable({ pool }: Arena, mode: string, ms: number, signal: AbortSignal): Promise<void> {
  const client = await persistently(() => pool.connect());
  try {
    await client.query(`BEGIN; LOCK TABLE ${SCHEMA}.checkpoints IN ${mode} MODE`);
    await lasting(ms, signal);
    await client.query('ROLLBACK');
    client.release();
  } catch (error) {
    client.release(true); // PostgreSQL was taken away meanwhile, and the lock with it
    if (!(error instanceof Error)) throw error;
  }
}
