import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { serializeCheckpoint } from '../../src/checkpoint.js';
import { type CheckpointInput, PostgresCheckpointStore } from '../../src/index.js';
import { CheckpointRow } from '../../src/writer/checkpoint-row.js';
import { newCheckpoint, newExecution } from '../contract/checkpoints.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { chunkOf, deadLetters, failedJobs, forgeJob } from '../writer/forged-jobs.js';

const RECORDS = 1000;
const POISONED = [0, RECORDS / 2, RECORDS - 1];
const TIMEOUT_MS = 120_000;

interface Poison {
  sqlState: string;
  /** SQL, run in the schema of the table. */
  prepare?: string;
  /** What makes a checkpoint one that PostgreSQL refuses. */
  fields: (place: number) => Partial<CheckpointInput>;
}

/** A trigger that does this with a row whose state has the key `poison`. */
function onPoison(does: string): string {
  return `
    CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF NEW.state ? 'poison' THEN ${does}; END IF; RETURN NEW; END $$;
    CREATE TRIGGER spoil BEFORE INSERT ON checkpoints FOR EACH ROW EXECUTE FUNCTION spoil()`;
}

/** A row that is there before, whose node the poisoned ones share. */
const TAKEN = `INSERT INTO checkpoints VALUES ('taken', 'other', 'taken', '{}', NULL, now(), 1)`;
const poison = (): Partial<CheckpointInput> => ({ state: { poison: true } });

const POISONS: Record<string, Poison> = {
  'a CHECK on the state': {
    sqlState: '23514',
    prepare: `ALTER TABLE checkpoints ADD CHECK (NOT state ? 'poison')`,
    fields: poison,
  },
  'a CHECK on the metadata': {
    sqlState: '23514',
    prepare: `ALTER TABLE checkpoints ADD CHECK (metadata->>'kind' <> 'poison')`,
    fields: () => ({ metadata: { kind: 'poison' } }),
  },
  'nesting that is deeper than its stack': {
    sqlState: '54001',
    fields: () => ({ state: JSON.parse('['.repeat(2000) + ']'.repeat(2000)) }),
  },
  'a trigger that raises an error of its own': {
    sqlState: '23514',
    prepare: onPoison(`RAISE EXCEPTION 'not this one' USING ERRCODE = 'check_violation'`),
    fields: poison,
  },
  'a trigger that adds up numbers out of range': {
    sqlState: '22003',
    prepare: onPoison('NEW.version := 2147483647 + NEW.version'),
    fields: poison,
  },
  'a trigger that takes the node away': {
    sqlState: '23502',
    prepare: onPoison('NEW.node_name := NULL'),
    fields: poison,
  },
  'a unique index on another column': {
    sqlState: '23505',
    prepare: `${TAKEN}; CREATE UNIQUE INDEX ON checkpoints (node_name)`,
    fields: () => ({ nodeName: 'taken' }),
  },
  'an exclusion constraint': {
    sqlState: '23P01',
    prepare: `${TAKEN}; ALTER TABLE checkpoints ADD EXCLUDE USING hash (node_name WITH =)`,
    fields: () => ({ nodeName: 'taken' }),
  },
  'a foreign key': {
    sqlState: '23503',
    prepare: foreignKey(),
    fields: () => ({ nodeName: 'unknown' }),
  },
  'a foreign key that is checked at COMMIT': {
    sqlState: '23503',
    prepare: foreignKey('DEFERRABLE INITIALLY DEFERRED'),
    fields: () => ({ nodeName: 'unknown' }),
  },
  'an index that takes no keys of this size': {
    sqlState: '54000',
    prepare: `CREATE INDEX ON checkpoints ((state->>'text'))`,
    fields: () => ({ state: { text: randomBytes(8000).toString('hex') } }),
  },
  'a CHECK by a regular expression in the state, which is none': {
    sqlState: '2201B',
    prepare: `ALTER TABLE checkpoints ADD CHECK ('' ~ coalesce(state->>'pattern', ''))`,
    fields: () => ({ state: { pattern: '(' } }),
  },
  'a CHECK that divides by a number in the state': {
    sqlState: '22012',
    prepare: `ALTER TABLE checkpoints ADD CHECK (1 / coalesce((state->>'n')::int, 1) >= 0)`,
    fields: () => ({ state: { n: 0 } }),
  },
  'an index on a number in the state that is none': {
    sqlState: '22P02',
    prepare: `CREATE INDEX ON checkpoints (((state->>'n')::int))`,
    fields: () => ({ state: { n: 'none' } }),
  },
};

/** The nodes of all good checkpoints are known. */
function foreignKey(when = ''): string {
  return `
    CREATE TABLE nodes (name TEXT PRIMARY KEY);
    INSERT INTO nodes SELECT 'node-' || i FROM generate_series(0, ${RECORDS}) AS i;
    ALTER TABLE checkpoints ADD FOREIGN KEY (node_name) REFERENCES nodes ${when}`;
}

/** Bytes that no producer sends: where they are in a body, and what is there instead. */
const FORGED: Record<string, { sqlState: string; find: Buffer; replace: Buffer }> = {
  'text that is not UTF-8': {
    sqlState: '22021',
    find: Buffer.from('valid'),
    replace: Buffer.from('\xff\xfe\xfd\xfc\xfb', 'latin1'),
  },
  'a timestamp out of range': {
    sqlState: '22008',
    find: timestampBytes(new Date(1_700_000_000_000)),
    replace: Buffer.from('7ffffffffffffff0', 'hex'),
  },
};

function timestampBytes(date: Date): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(date.getTime() - Date.UTC(2000, 0, 1)) * 1000n);
  return bytes;
}

async function openTable(prepare = ''): Promise<Place> {
  const place = await testPlace();
  const store = new PostgresCheckpointStore({ postgres: place.postgres, schema: place.schema });
  await store.initSchema();
  await store.close();
  await place.pool.query(`SET search_path = ${place.schema}; ${prepare}; RESET search_path`);
  return place;
}

/** A writer on a server whose stack is small. */
function startSmallWriter(place: Place) {
  const postgres = new URL(place.postgres);
  postgres.searchParams.set('options', '-c max_stack_depth=100kB');
  return startWriter(place, { postgres: postgres.toString() });
}

/** The poisoned ones are dead letters, all others are stored, and no job is left or failed. */
async function expectOnlyPoisonRefused(place: Place, ids: readonly string[], sqlState: string) {
  const poisoned = POISONED.map((index) => ids[index] as string);
  expect((await deadLetters(place)).map(({ id, sqlState }) => [id, sqlState])).toEqual(
    poisoned.map((id) => [id, sqlState]),
  );
  const { rows } = await place.pool.query(
    `SELECT id FROM ${place.schema}.checkpoints WHERE id = ANY ($1) ORDER BY id COLLATE "C"`,
    [ids],
  );
  expect(rows.map(({ id }) => id)).toEqual(ids.filter((id) => !poisoned.includes(id)).sort());
  expect(await failedJobs(place)).toEqual(new Map());
}

it.each(Object.entries(POISONS))(
  'the first, the middle and the last of 1,000 records are refused by %s: these are dead letters, all others are committed',
  { timeout: TIMEOUT_MS },
  async (_, { prepare, fields, sqlState }) => {
    const place = await openTable(prepare);
    const store = testStore(place);
    const checkpoints = Array.from({ length: RECORDS }, (_unused, index) =>
      newCheckpoint({
        ...{ executionId: `execution-${index % 10}`, nodeName: `node-${index}`, state: { index } },
        ...(POISONED.includes(index) && fields(index)),
      }),
    );
    await store.saveBatch(checkpoints);
    await startSmallWriter(place);
    await expect(store.flush()).rejects.toMatchObject({ errors: POISONED.map(() => ({ sqlState })) });
    await expectOnlyPoisonRefused(
      place,
      checkpoints.map(({ id }) => id),
      sqlState,
    );
  },
);

it.each(Object.entries(FORGED))(
  'the first, the middle and the last of 1,000 records hold %s: these are dead letters, all others are committed',
  { timeout: TIMEOUT_MS },
  async (_, { sqlState, find, replace }) => {
    const place = await openTable();
    const executionId = newExecution();
    const checkpoints = Array.from({ length: RECORDS }, () =>
      newCheckpoint({ executionId, state: 'valid', timestamp: new Date(1_700_000_000_000) }),
    );
    const bodies = checkpoints.map((checkpoint, index) => {
      const body = new CheckpointRow(serializeCheckpoint(checkpoint)).toBuffer();
      if (POISONED.includes(index)) replace.copy(body, body.indexOf(find));
      return body;
    });
    const jobId = await forgeJob(place, { payload: chunkOf(executionId, ...bodies) });
    await startSmallWriter(place);
    const left = () => place.client.exists(place.keys.jobPrefix + jobId);
    await expect.poll(left, { timeout: TIMEOUT_MS }).toBe(0);
    await expectOnlyPoisonRefused(
      place,
      checkpoints.map(({ id }) => id),
      sqlState,
    );
  },
);

it('an error of a code that nobody knows, with every record, is told and nothing is given up; all are committed when it is over', {
  timeout: TIMEOUT_MS,
}, async () => {
  const place = await openTable(onPoison(`RAISE EXCEPTION 'not now'`));
  const store = testStore(place);
  const alarms: object[] = [];
  const logger = {
    debug: () => {},
    info: () => {},
    warn: () => {},
    error: (fields: object) => void alarms.push(fields),
  };
  await startWriter(place, { logger });
  const receipts = await store.saveBatch([poison(), poison(), poison()].map(newCheckpoint));
  await expect.poll(() => alarms.length, { timeout: TIMEOUT_MS }).toBeGreaterThan(0);
  expect(alarms[0]).toMatchObject({ failure: 'unknown', sqlState: 'P0001' });
  await place.pool.query(`DROP TRIGGER spoil ON ${place.schema}.checkpoints`);
  await store.flush();
  const outcomes = await Promise.all(receipts.map((receipt) => receipt.committed()));
  expect(outcomes).toEqual(['committed', 'committed', 'committed']);
  expect(await deadLetters(place)).toEqual([]);
});
