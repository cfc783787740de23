import { expect, it, onTestFinished } from 'vitest';
import { Database } from '../../src/postgres/database.js';
import { tableNames } from '../../src/postgres/identifiers.js';
import { migrate } from '../../src/postgres/schema.js';
import { type Place, testPlace, testStore } from '../store/place.js';
import { diagnosis } from './diagnosis.js';

async function partitionedPlace(): Promise<Place> {
  const place = await testPlace();
  const database = new Database(place.postgres);
  onTestFinished(() => database.close());
  await migrate(database, tableNames({ schema: place.schema, partitionBy: 'month' }));
  return place;
}

it('the doctor is content with a partitioned table as it is made', async () => {
  const found = await diagnosis(await partitionedPlace());
  expect(found['postgres.triggers']).toMatchObject({ severity: 'ok', seen: 'none but ours' });
  expect(found['postgres.indexes']).toMatchObject({
    severity: 'ok',
    seen: expect.stringMatching(/^all \d+ are there$/),
  });
  expect(found['postgres.dead-tuples']?.seen).toContain('checkpoints_ids');
});

it.each([
  ['postgres.triggers', 'ALTER TABLE $.checkpoints_ids DISABLE TRIGGER moved', /moved of .*ids" is disabled/],
  ['postgres.triggers', 'DROP TRIGGER deleted ON $.checkpoints', /deleted of .*checkpoints" is missing/],
  ['postgres.triggers', 'ALTER TABLE $.checkpoints DISABLE TRIGGER ALL', /inserted of .*updated of/],
  ['postgres.indexes', 'DROP INDEX $.idx_checkpoints_ids', /idx_checkpoints_ids$/],
  ['postgres.indexes', 'DROP INDEX $.idx_checkpoints_timestamp', /idx_checkpoints_timestamp$/],
  [
    'postgres.indexes',
    'ALTER TABLE $.checkpoints_ids DROP CONSTRAINT checkpoints_ids_pkey',
    /checkpoints_ids_pkey$/,
  ],
  ['postgres.indexes', 'ALTER TABLE $.checkpoints DROP CONSTRAINT checkpoints_pkey', /checkpoints_pkey$/],
])(
  'the doctor, by %s of a partitioned table, finds %s, and what it says to do mends it',
  async (check, harm, seen) => {
    const place = await partitionedPlace();
    await place.pool.query(harm.replaceAll('$', place.schema));
    const found = (await diagnosis(place))[check];
    expect(found).toMatchObject({ severity: 'error', seen: expect.stringMatching(seen) });
    for (const statement of found?.todo?.split(';') ?? []) await place.pool.query(statement);
    expect((await diagnosis(place))[check]).toMatchObject({ severity: 'ok' });
  },
);

it("the doctor names other programs' triggers", async () => {
  const place = await testPlace();
  await testStore(place).initSchema();
  const { pool, schema } = place;
  await pool.query(`CREATE FUNCTION ${schema}.audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER audit BEFORE INSERT ON ${schema}.checkpoints FOR EACH ROW EXECUTE FUNCTION ${schema}.audit()`);
  expect((await diagnosis(place))['postgres.triggers']).toMatchObject({
    severity: 'ok',
    seen: `others have put on: audit of "${schema}"."checkpoints"`,
  });
});
