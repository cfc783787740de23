import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Database, type PgPool, type PostgresOption } from '../../src/postgres/database.js';
import { services, testSchema } from '../services.js';

const LOCK = 'SELECT pg_advisory_xact_lock(hashtext(current_query()))';

function open(postgres: PostgresOption = { connectionString: services().databaseUrl, max: 1 }): Database {
  const database = new Database(postgres);
  onTestFinished(() => database.close());
  return database;
}

describe('Database', () => {
  it('commits what the callback did, and rolls back where it threw', async () => {
    const database = open();
    const { schema, drop } = await testSchema();
    onTestFinished(drop);
    await database.query(`CREATE TABLE ${schema}.done (step text)`);
    const insert = (step: string) => `INSERT INTO ${schema}.done VALUES ('${step}')`;
    await database.withTransaction((client) => client.query(insert('kept')));
    const failure = new Error('of the callback');
    const failing = database.withTransaction(async (client) => {
      await client.query(insert('lost'));
      throw failure;
    });
    await expect(failing).rejects.toBe(failure);
    expect(await database.query(`SELECT step FROM ${schema}.done`)).toEqual([{ step: 'kept' }]);
  });

  it.each(['serializable', 'repeatable read'])('is READ COMMITTED where the default is %s', async (level) => {
    const isolation = level.replace(' ', '\\ ');
    const database = open({
      connectionString: services().databaseUrl,
      options: `-c default_transaction_isolation=${isolation}`,
    });
    const shown = await database.withTransaction(async (client) => {
      const { rows } = await client.query<{ transaction_isolation: string }>('SHOW transaction_isolation');
      return rows[0]?.transaction_isolation;
    });
    expect(shown).toBe('read committed');
  });

  it('gives back a usable connection where what goes out with BEGIN fails', async () => {
    const database = open();
    const failing = database.withTransaction(async () => {}, { setup: 'SELECT 1/0' });
    await expect(failing).rejects.toMatchObject({ code: 'DATABASE', sqlState: '22012' });
    expect(await database.query('SELECT 1 AS one')).toEqual([{ one: '1' }]);
    expect(await database.withTransaction(async () => 'done')).toBe('done');
  });

  it.each([
    ["SELECT 'canary'::int", '22P02: invalid text representation'],
    ["SELECT chr(0) || 'canary'", '54000: null character not permitted'],
    ["SELECT 'canary'::text COLLATE \"C\" LIKE 'canary' ESCAPE 'xx'", '22025'],
  ])('tells of %s what holds no value', async (sql, told) => {
    await expect(open().query(sql)).rejects.toThrow(new RegExp(`^PostgreSQL error ${told}$`));
  });

  it('waits again for a lock that it did not get in time', async () => {
    const holder = open();
    const options = '-c lock_timeout=20';
    const waiting = open({ connectionString: services().databaseUrl, max: 1, options });
    await holder.withTransaction(async (client) => {
      await client.query(LOCK);
      const late = waiting.withTransaction(async () => {}, {
        setup: LOCK.replace('current_query()', `'${LOCK}'`),
      });
      await expect(late).rejects.toMatchObject({ sqlState: '55P03' });
    });
    expect(await waiting.withTransaction(async () => 'done')).toBe('done');
  });

  it('survives the end of its connection by the server and takes another one', async () => {
    const database = open();
    const killing = database.withTransaction(async (client) => {
      await client.query('SELECT pg_terminate_backend(pg_backend_pid())');
    });
    await expect(killing).rejects.toMatchObject({ code: 'DATABASE', sqlState: '57P01' });
    expect(await database.query('SELECT 1 AS one')).toEqual([{ one: '1' }]);
  });

  it('gives up a connection to a server that only reads, for its address may lead to another one by now', async () => {
    const database = open();
    await database.withClient((client) => client.query('SET default_transaction_read_only = on'));
    const write = () => database.query('CREATE TEMP TABLE written (n int)');
    await expect(write()).rejects.toMatchObject({ sqlState: '25006' });
    await write();
  });

  it('returns every column as PostgreSQL prints it, whatever type parsers there are', async () => {
    const types = { getTypeParser: () => () => 'parsed by the application' };
    const database = open({ connectionString: services().databaseUrl, types });
    const [row] = await database.query(
      `SELECT 1::bigint AS n, true AS b, '{"a": 1}'::jsonb AS j, NULL AS nothing, 'x' AS t`,
    );
    expect(row).toEqual({ n: '1', b: 't', j: '{"a": 1}', nothing: null, t: 'x' });
  });

  it('leaves a pool of the application open', async () => {
    const pool = new pg.Pool({ connectionString: services().databaseUrl });
    onTestFinished(() => pool.end());
    const database = new Database(pool);
    expect(await database.query('SELECT 1 AS one')).toEqual([{ one: '1' }]);
    await Promise.all([database.close(), database.close()]);
    expect((await pool.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
    await expect(database.query('SELECT 1')).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('finishes what was begun before close, and takes nothing afterwards', async () => {
    const database = open();
    const begun = [1, 2, 3].map((n) => database.query('SELECT $1::int AS n', [n]));
    const closing = database.close();
    await expect(database.query('SELECT 4')).rejects.toMatchObject({ code: 'CLOSED' });
    expect(await Promise.all(begun)).toEqual([[{ n: '1' }], [{ n: '2' }], [{ n: '3' }]]);
    await closing;
  });

  it('gives each connection back once, broken ones as broken', async () => {
    const pool = new pg.Pool({ connectionString: services().databaseUrl, max: 1 });
    onTestFinished(() => pool.end());
    const released: unknown[] = [];
    const watched: PgPool = {
      connect: async () => {
        const client = await pool.connect();
        const release = client.release.bind(client);
        client.release = (reason) => {
          released.push(reason);
          release(reason);
        };
        return client;
      },
      end: () => pool.end(),
    };
    const database = new Database(watched);
    await database.query('SELECT 1');
    await expect(database.query('SELECT 1/0')).rejects.toMatchObject({ sqlState: '22012' });
    await expect(database.query('SELECT pg_terminate_backend(pg_backend_pid())')).rejects.toThrow();
    expect(released).toEqual([undefined, undefined, expect.any(Error)]);
  });
});
