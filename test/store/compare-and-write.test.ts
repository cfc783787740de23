import pg from 'pg';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { PostgresCheckpointStore, type PostgresOption } from '../../src/index.js';
import type { PgClient, PgPool } from '../../src/postgres/database.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { waitsForLock } from './lock-wait.js';
import { type Place, testPlace } from './place.js';

let place: Place;
let table: string;
beforeEach(async () => {
  place = await testPlace();
  table = `${place.schema}.checkpoints`;
});

function plainStore(postgres: PostgresOption): PostgresCheckpointStore {
  const store = new PostgresCheckpointStore({ postgres, schema: place.schema });
  onTestFinished(() => store.close());
  return store;
}

describe.each(['read committed', 'repeatable read', 'serializable'])(
  'with %s as isolation, a save that waits for another transaction on its row',
  (level) => {
    /** What another transaction does to the row while a save that expects this version has to wait for it. */
    async function afterwards(statement: string, values: unknown[], expectedVersion: number) {
      const store = plainStore({
        connectionString: place.postgres,
        application_name: place.schema,
        options: `-c default_transaction_isolation=${level.replace(' ', '\\ ')}`,
      });
      await store.initSchema();
      const checkpoint = newCheckpoint();
      if (expectedVersion > 0) await store.save({ ...checkpoint, version: expectedVersion });
      const other = await place.pool.connect();
      try {
        await other.query('BEGIN');
        await other.query(statement.replace('TABLE', table), [checkpoint.id, ...values]);
        const saving = store.save({ ...checkpoint, state: 'saved' }, { expectedVersion });
        const settled = Promise.allSettled([saving]);
        await waitsForLock(place);
        await other.query('COMMIT');
        const [outcome] = await settled;
        const [stored] = await store.list(checkpoint.executionId);
        return { outcome, stored };
      } finally {
        other.release();
      }
    }

    it('sees a version that came meanwhile, and says which', async () => {
      const { outcome, stored } = await afterwards('UPDATE TABLE SET version = $2 WHERE id = $1', [6], 5);
      expect(outcome).toMatchObject({ reason: { code: 'VERSION_CONFLICT', actualVersion: 6 } });
      expect(stored).toMatchObject({ version: 6, state: {} });
    });

    it('does not bring back a row that was deleted meanwhile', async () => {
      const { outcome, stored } = await afterwards('DELETE FROM TABLE WHERE id = $1', [], 5);
      expect(outcome).toMatchObject({ reason: { code: 'VERSION_CONFLICT', expectedVersion: 5 } });
      expect(outcome).toHaveProperty('reason.actualVersion', undefined);
      expect(stored).toBeUndefined();
    });

    const INSERT = `INSERT INTO TABLE (id, execution_id, node_name, state, timestamp, version)
    VALUES ($1, 'other', '', '{}', now(), $2)`;

    it('sees a first version that came meanwhile', async () => {
      const { outcome } = await afterwards(INSERT, [1], 0);
      expect(outcome).toMatchObject({ reason: { code: 'VERSION_CONFLICT', actualVersion: 1 } });
    });

    it('takes the place of a version 0 that came meanwhile', async () => {
      const { outcome, stored } = await afterwards(INSERT, [0], 0);
      expect(outcome).toMatchObject({ status: 'fulfilled' });
      expect(stored).toMatchObject({ version: 1, state: 'saved' });
    });
  },
);

it('compares again where the expected version came between the comparison and the question for the actual one', async () => {
  const pool = new pg.Pool({ connectionString: place.postgres });
  onTestFinished(() => pool.end());
  const checkpoint = newCheckpoint();
  const raisedBeforeAsked: PgPool = {
    async connect() {
      const client = await pool.connect();
      return new Proxy<PgClient>(client, {
        get(target, name) {
          const value = Reflect.get(target, name, target);
          if (name !== 'query') return typeof value === 'function' ? value.bind(target) : value;
          return async (query: { text: string }) => {
            if (query.text.startsWith('SELECT version'))
              await place.pool.query(`UPDATE ${table} SET version = 2`);
            return value.call(target, query);
          };
        },
      });
    },
    async end() {},
  };
  await plainStore(pool).save(checkpoint);
  const store = plainStore(raisedBeforeAsked);
  await store.save({ ...checkpoint, state: 'saved' }, { expectedVersion: 2 });
  expect(await store.load(checkpoint.id)).toMatchObject({ version: 3, state: 'saved' });
});

it('gives up where a trigger suppresses every write', async () => {
  const store = plainStore(place.postgres);
  const checkpoint = newCheckpoint({ state: 'stored' });
  await store.save(checkpoint);
  await place.pool.query(`
    CREATE FUNCTION ${place.schema}.suppress() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER suppress BEFORE UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION ${place.schema}.suppress()`);
  const saving = store.save({ ...checkpoint, state: 'suppressed' }, { expectedVersion: 1 });
  await expect(saving).rejects.toMatchObject({ code: 'VERSION_CONFLICT', actualVersion: 1 });
  expect((await store.load(checkpoint.id)).state).toBe('stored');
});
