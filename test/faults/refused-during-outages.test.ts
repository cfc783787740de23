import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, it, onTestFinished } from 'vitest';
import { Database } from '../../src/postgres/database.js';
import { type Period, tableNames } from '../../src/postgres/identifiers.js';
import { migrate } from '../../src/postgres/schema.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { deadLetters, failedJobs } from '../writer/forged-jobs.js';
import { outcomesOf, raiseOnDemand } from './raising-table.js';

const TIMEOUT_MS = 300_000;
const RUNS = 5;
const CODES = ['P0001', '42501', 'XX000', '40001', '0A000', '57P01', '53100', 'U0001', '23514'];

/** What takes PostgreSQL away from the writer's role, until the other one brings it back. */
type Outage = (place: Place, role: string) => { away: string; back: string };
const OUTAGES: Outage[] = [
  ({ schema }, role) => ({
    away: `REVOKE ALL ON ALL TABLES IN SCHEMA ${schema} FROM ${role}`,
    back: `GRANT ALL ON ALL TABLES IN SCHEMA ${schema} TO ${role}`,
  }),
  (_, role) => ({
    away: `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role}'`,
    back: 'SELECT 1',
  }),
  ({ schema }) => ({
    away: `CREATE FUNCTION ${schema}.refusing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
      CREATE TRIGGER refusing AFTER INSERT ON ${schema}.checkpoints FOR EACH ROW EXECUTE FUNCTION ${schema}.refusing()`,
    back: `DROP FUNCTION ${schema}.refusing CASCADE`,
  }),
];

async function openTable(
  partitionBy: Period | undefined,
): Promise<{ place: Place; role: string; postgres: string }> {
  const place = await testPlace();
  const { schema, pool } = place;
  const database = new Database(place.postgres);
  await migrate(database, tableNames({ schema, partitionBy })).finally(() => database.close());
  await raiseOnDemand(place);
  const role = `${schema}_writer`;
  await pool.query(`CREATE ROLE ${role} LOGIN PASSWORD 'writer'; GRANT ALL ON SCHEMA ${schema} TO ${role};
    GRANT ALL ON ALL TABLES IN SCHEMA ${schema} TO ${role}`);
  onTestFinished(async () => void (await pool.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)));
  const url = new URL(place.postgres);
  url.username = role;
  url.password = 'writer';
  return { place, role, postgres: url.toString() };
}

it.each([undefined, 'month'] as const)(
  'in a table partitioned by %s exactly the refused records become dead letters, whatever outages come in between',
  { timeout: TIMEOUT_MS },
  async (partitionBy) => {
    const { place, role, postgres } = await openTable(partitionBy);
    const records = fc.array(fc.option(fc.constantFrom(...CODES), { freq: 3 }), {
      minLength: 1,
      maxLength: 60,
    });
    const outages = fc.array(
      fc.record({
        after: fc.nat({ max: 300 }),
        outage: fc.constantFrom(...OUTAGES),
        lasts: fc.integer({ min: 100, max: 600 }),
      }),
      { maxLength: 3 },
    );
    const holds = fc.asyncProperty(
      records,
      fc.integer({ min: 1, max: 30 }),
      outages,
      async (codes, chunk, times) => {
        const before = (await deadLetters(place)).length;
        const store = testStore(place, { maxChunkRecords: chunk });
        const checkpoints = codes.map((code) =>
          newCheckpoint({ state: code ? { raise: code } : { good: 1 } }),
        );
        const writer = await startWriter(place, { postgres, maxBatchRecords: 25 });
        // What is saved last is always good: without another record nothing could be proven.
        const receipts = await store.saveBatch([...checkpoints, newCheckpoint()]);
        for (const { after, outage, lasts } of times) {
          const { away, back } = outage(place, role);
          await delay(after);
          await place.pool.query(away);
          await delay(lasts);
          await place.pool.query(back);
        }
        const outcomes = await outcomesOf(receipts);
        expect(outcomes).toEqual([
          ...codes.map((code) => (code ? 'DEAD_LETTERED' : 'committed')),
          'committed',
        ]);
        const letters = await deadLetters(place);
        expect(letters.slice(before).map(({ id, sqlState }) => [id, sqlState])).toEqual(
          checkpoints.flatMap(({ id }, index) => (codes[index] ? [[id, codes[index]]] : [])),
        );
        expect(await failedJobs(place)).toEqual(new Map());
        await writer.close();
        await store.close();
      },
    );
    await fc.assert(holds, { numRuns: RUNS, endOnFailure: true });
  },
);
