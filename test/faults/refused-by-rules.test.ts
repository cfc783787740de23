import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { CheckpointInput } from '../../src/index.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { type Place, startWriter, testStore } from '../store/place.js';
import { deadLetters, failedJobs } from '../writer/forged-jobs.js';
import { outcomesOf, raisingPlace, refuseAll, tablePlace } from './raising-table.js';

const TIMEOUT_MS = 120_000;
/** Whatever a trigger raises: codes of its own, of outages, of locks, of missing privileges and tables. */
const CODES = [
  'P0001',
  'P0002',
  '42501',
  'XX000',
  '0A000',
  'ZZ999',
  '40001',
  '57014',
  '57P01',
  '08006',
  '53100',
];
const ALSO = ['25006', '42P01', '28P01', '38000', '55P03', '58030', '22023', '23514'];

const good = (index: number): CheckpointInput => newCheckpoint({ state: { index } });
const bad = (code = 'P0001'): CheckpointInput =>
  newCheckpoint({ state: { raise: code, secret: 'a secret' } });

/** Only these are dead letters, no job is left or failed, and nothing of them is told. */
async function expectDeadLetters(place: Place, refused: readonly CheckpointInput[]): Promise<void> {
  const letters = await deadLetters(place);
  const told = refused.map(({ id, state }) => [id, (state as { raise: string }).raise]);
  expect(letters.map(({ id, sqlState }) => [id, sqlState]).sort()).toEqual(told.sort());
  expect(JSON.stringify(letters)).not.toContain('secret');
  expect(await failedJobs(place)).toEqual(new Map());
}

describe('a record that a trigger refuses', () => {
  it.each([...CODES, ...ALSO])(
    'with %s, becomes a dead letter, and the rest of its batch is committed',
    { timeout: TIMEOUT_MS },
    async (code) => {
      const place = await raisingPlace();
      const store = testStore(place);
      const checkpoints = [bad(code), ...Array.from({ length: 19 }, (_, index) => good(index)), bad(code)];
      const receipts = await store.saveBatch(checkpoints);
      await startWriter(place);
      expect(await outcomesOf(receipts)).toEqual(
        checkpoints.map((_, index) => (index % 20 === 0 ? 'DEAD_LETTERED' : 'committed')),
      );
      await expectDeadLetters(place, [checkpoints[0], checkpoints[20]] as CheckpointInput[]);
    },
  );

  it('at COMMIT, becomes a dead letter, and the rest of its batch is committed', async () => {
    const place = await raisingPlace('DEFERRED');
    const store = testStore(place);
    const checkpoints = [good(0), bad(), good(1)];
    const receipts = await store.saveBatch(checkpoints);
    await startWriter(place);
    expect(await outcomesOf(receipts)).toEqual(['committed', 'DEAD_LETTERED', 'committed']);
    await expectDeadLetters(place, [checkpoints[1] as CheckpointInput]);
  });

  it('in each of two batches that are in flight at once, stops neither', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const place = await raisingPlace();
    const store = testStore(place, { maxChunkRecords: 5 });
    const checkpoints = Array.from({ length: 60 }, (_, index) => (index % 10 === 4 ? bad() : good(index)));
    const receipts = await store.saveBatch(checkpoints);
    await startWriter(place, { maxBatchRecords: 10 });
    expect(await outcomesOf(receipts)).toEqual(
      checkpoints.map((_, index) => (index % 10 === 4 ? 'DEAD_LETTERED' : 'committed')),
    );
    await expectDeadLetters(
      place,
      checkpoints.filter((_, index) => index % 10 === 4),
    );
  });

  it('with all of its batch, is told apart from an outage by what was committed before', async () => {
    const place = await raisingPlace();
    const store = testStore(place);
    const writer = await startWriter(place);
    await store.save(good(0), { ack: 'committed' });
    const refused = Array.from({ length: 10 }, () => bad());
    expect(await outcomesOf(await store.saveBatch(refused))).toEqual(refused.map(() => 'DEAD_LETTERED'));
    await expectDeadLetters(place, refused);
    expect(writer.breaker.state).toBe('closed');
  });

  it('gives way to an older save of its id that shares its batch', async () => {
    const place = await raisingPlace();
    const store = testStore(place);
    const checkpoint = good(0);
    const receipts = await store.saveBatch([
      checkpoint,
      { ...bad(), id: checkpoint.id, version: 2 },
      good(1),
    ]);
    await startWriter(place);
    expect(await outcomesOf(receipts)).toEqual(['committed', 'DEAD_LETTERED', 'committed']);
    expect((await store.load(checkpoint.id)).state).toEqual({ index: 0 });
  });

  it('is refused by a direct write at once, with a typed error without its values', async () => {
    const place = await raisingPlace();
    const store = testStore(place, { maxQueuedBytes: 1000 });
    const oversize = newCheckpoint({ state: { raise: 'P0001', secret: 'a secret'.repeat(500) } });
    const error = await store.save(oversize).catch((reason) => reason);
    expect(error).toMatchObject({ name: 'DatabaseError', sqlState: 'P0001' });
    expect(JSON.stringify([error, error.message])).not.toContain('secret');
  });
});

describe('a record that is refused before any other was committed', () => {
  it('stops nothing, and becomes a dead letter once others are committed', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const place = await raisingPlace();
    const store = testStore(place);
    const opened = vi.fn();
    const writer = await startWriter(place);
    writer.on('breaker', opened);
    const refused = [bad(), bad('42501'), bad('40001')];
    for (const checkpoint of refused) {
      await store.save(checkpoint);
      await vi.waitFor(async () => expect(await delayedJobs(place)).toBeGreaterThan(0), TIMEOUT_MS);
    }
    const receipts = await Promise.all(Array.from({ length: 5 }, (_, index) => store.save(good(index))));
    expect(await outcomesOf(receipts)).toEqual(receipts.map(() => 'committed'));
    await store.flush().catch(() => {});
    await expectDeadLetters(place, refused);
    expect(opened).not.toHaveBeenCalled();
  });

  it('goes back to the queue when the writer closes, and is committed by the next one after the cure', async () => {
    const place = await raisingPlace();
    const store = testStore(place);
    const writer = await startWriter(place);
    const receipt = await store.save(bad());
    await vi.waitFor(async () => expect(await delayedJobs(place)).toBe(1), TIMEOUT_MS);
    await writer.close();
    expect(await place.client.exists(`${place.keys.jobPrefix}w-${receipt.sequence}`)).toBe(1);
    await place.pool.query(`DROP FUNCTION ${place.schema}.raising CASCADE`);
    await startWriter(place);
    expect(await receipt.committed()).toBe('committed');
    await expectDeadLetters(place, []);
  });
});

function delayedJobs({ client, keys }: Place): Promise<number> {
  return client.zcard(`${keys.jobPrefix}delayed`);
}

describe('a rule that refuses every row for a while', () => {
  it.each(['BEFORE', 'AFTER'] as const)(
    '%s they are written: nothing becomes a dead letter, and all of them are committed when it is lifted',
    { timeout: TIMEOUT_MS },
    async (when) => {
      const place = await tablePlace();
      const store = testStore(place, { maxChunkRecords: 3 });
      await startWriter(place, { maxBatchRecords: 10 });
      await store.save(good(0), { ack: 'committed' });
      const rule = await refuseAll(place, when);
      const receipts = await store.saveBatch(Array.from({ length: 30 }, (_, index) => good(index)));
      // All of them were tried, some more than once.
      await vi.waitFor(async () => expect(await delayedJobs(place)).toBe(10), TIMEOUT_MS);
      await rule.lift();
      expect(await outcomesOf(receipts)).toEqual(receipts.map(() => 'committed'));
      await expectDeadLetters(place, []);
    },
  );
});

describe('row-level security', () => {
  it('makes dead letters of the rows that its policy refuses, and of no others', async () => {
    const place = await tablePlace();
    const { schema, pool } = place;
    const role = `${schema}_tenant`;
    await pool.query(`CREATE ROLE ${role} LOGIN PASSWORD 'tenant'; GRANT ALL ON SCHEMA ${schema} TO ${role};
      GRANT ALL ON ALL TABLES IN SCHEMA ${schema} TO ${role};
      ALTER TABLE ${schema}.checkpoints ENABLE ROW LEVEL SECURITY;
      CREATE POLICY tenant ON ${schema}.checkpoints TO ${role} USING (true) WITH CHECK (execution_id <> 'foreign')`);
    onTestFinished(async () => void (await pool.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)));
    const postgres = new URL(place.postgres);
    postgres.username = role;
    postgres.password = 'tenant';
    const store = testStore(place);
    const foreign = newCheckpoint({ executionId: 'foreign' });
    const receipts = await store.saveBatch([good(0), foreign, good(1)]);
    const writer = await startWriter(place, { postgres: postgres.toString() });
    expect(await outcomesOf(receipts)).toEqual(['committed', 'DEAD_LETTERED', 'committed']);
    expect(await deadLetters(place)).toMatchObject([{ id: foreign.id, sqlState: '42501' }]);
    await writer.close();
  });
});

it('a rival that locks one row holds up nothing but its save, which is committed when it lets go', {
  timeout: 300_000,
}, async () => {
  const place = await tablePlace();
  const store = testStore(place, { maxChunkRecords: 1 });
  const first = await startWriter(place);
  const locked = newCheckpoint({ id: `locked-${randomUUID()}` });
  await store.save(locked, { ack: 'committed' });
  await first.close();
  const rival = new pg.Client({ connectionString: place.postgres });
  await rival.connect();
  onTestFinished(() => rival.end());
  await rival.query('BEGIN');
  await rival.query(`SELECT FROM ${place.schema}.checkpoints WHERE id = $1 FOR UPDATE`, [locked.id]);
  const receipts = await store.saveBatch([{ ...locked, version: 2 }, ...Array.from({ length: 20 }, good)]);
  await startWriter(place, { lingerMs: 200 });
  const [held, ...others] = receipts;
  expect(await outcomesOf(others)).toEqual(others.map(() => 'committed'));
  await rival.query('ROLLBACK');
  expect(await held?.committed()).toBe('committed');
  await expectDeadLetters(place, []);
});
