import { PostgresCheckpointStore } from '../../src/index.js';
import { type Place, testPlace } from '../store/place.js';

/** A place whose checkpoint table is there, with a trigger that refuses a state with the key `raise`, with the SQLSTATE that it names. */
export async function raisingPlace(when = 'BEFORE INSERT OR UPDATE'): Promise<Place> {
  const place = await tablePlace();
  await raiseOnDemand(place, when);
  return place;
}

export async function tablePlace(): Promise<Place> {
  const place = await testPlace();
  const store = new PostgresCheckpointStore({ postgres: place.postgres, schema: place.schema });
  await store.initSchema();
  await store.close();
  return place;
}

/** The message quotes the row, as one of a user's trigger may. */
export async function raiseOnDemand(
  { pool, schema }: Place,
  when = 'BEFORE INSERT OR UPDATE',
): Promise<void> {
  const kind = when.startsWith('DEFERRED')
    ? `CREATE CONSTRAINT TRIGGER raising AFTER INSERT ON ${schema}.checkpoints INITIALLY DEFERRED`
    : `CREATE TRIGGER raising ${when} ON ${schema}.checkpoints`;
  await pool.query(`
    CREATE FUNCTION ${schema}.raising() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NEW.state ? 'raise' THEN
        RAISE EXCEPTION 'refused: %', NEW.state USING ERRCODE = NEW.state->>'raise';
      END IF;
      RETURN NEW;
    END $$;
    ${kind} FOR EACH ROW EXECUTE FUNCTION ${schema}.raising()`);
}

/** Refuses every row, until it is lifted. */
export async function refuseAll(
  { pool, schema }: Place,
  when: 'BEFORE' | 'AFTER',
): Promise<{ lift(): Promise<void> }> {
  await pool.query(`
    CREATE FUNCTION ${schema}.refusing() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
    CREATE TRIGGER refusing ${when} INSERT ON ${schema}.checkpoints
      FOR EACH ROW EXECUTE FUNCTION ${schema}.refusing()`);
  return { lift: async () => void (await pool.query(`DROP FUNCTION ${schema}.refusing CASCADE`)) };
}

/** What became of saves, an error by its code. */
export async function outcomesOf(
  receipts: ReadonlyArray<{ committed(): Promise<unknown> }>,
): Promise<unknown[]> {
  const settled = await Promise.allSettled(receipts.map((receipt) => receipt.committed()));
  return settled.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.code));
}
