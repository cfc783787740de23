import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { serializeCheckpoint } from '../../src/checkpoint.js';
import type { QueuedCheckpointStore } from '../../src/index.js';
import { Database } from '../../src/postgres/database.js';
import { tableNames } from '../../src/postgres/identifiers.js';
import { BatchWriter } from '../../src/writer/batch-writer.js';
import { CheckpointRow } from '../../src/writer/checkpoint-row.js';
import { CheckpointSink } from '../../src/writer/checkpoint-sink.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { type Place, statementsOf, testPlace, testStore } from '../store/place.js';
import { SAME_CLOCK } from './records.js';

let place: Place;
let store: QueuedCheckpointStore;
let database: Database;
let sink: CheckpointSink;
beforeEach(async () => {
  place = await testPlace();
  store = testStore(place);
  database = new Database(place.postgres);
  onTestFinished(() => database.close());
  sink = new CheckpointSink(tableNames({ schema: place.schema }));
  await store.initSchema();
});

const maintain = (oldestSequence?: number) =>
  sink.maintain(database, { tombstoneDays: 30, oldestSequence, clocks: SAME_CLOCK });

async function age(interval: string): Promise<void> {
  await place.pool.query(
    `UPDATE ${place.schema}.checkpoints_tombstones SET created_at = now() - $1::interval`,
    [interval],
  );
}

async function tombstones(): Promise<string[]> {
  const { rows } = await place.pool.query(
    `SELECT key FROM ${place.schema}.checkpoints_tombstones ORDER BY key`,
  );
  return rows.map(({ key }) => key);
}

describe('tombstones', () => {
  it('are removed when they are older than tombstoneDays, and not before', async () => {
    await store.delete('a');
    await age('29 days 23 hours');
    await maintain();
    expect(await tombstones()).toEqual(['a']);
    await age('30 days 1 hour');
    await maintain();
    expect(await tombstones()).toEqual([]);
  });

  it('outlive every record from before them that may still arrive', async () => {
    const { sequence } = await store.save(newCheckpoint());
    await store.delete('a');
    await age('1 year');
    await maintain(sequence);
    expect(await tombstones()).toEqual(['a']);
    await maintain(Number.MAX_SAFE_INTEGER);
    expect(await tombstones()).toEqual([]);
  });

  it('are removed by the thousands', async () => {
    await place.pool.query(
      `INSERT INTO ${place.schema}.checkpoints_tombstones (scope, key, fence)
       SELECT 'checkpoint', n::text, n FROM generate_series(1, 12000) n`,
    );
    await age('31 days');
    await maintain();
    expect(await tombstones()).toEqual([]);
  });
});

describe('a delete whose process died when it had left its tombstone', () => {
  it.each(['checkpoint', 'execution'] as const)('of a whole %s is brought to its end', async (scope) => {
    const doomed = newCheckpoint();
    const writer = new BatchWriter(database);
    const body = new CheckpointRow(serializeCheckpoint(doomed)).toBuffer();
    await writer.write([{ sink, records: [{ sequence: 7, body }] }]);
    const key = scope === 'checkpoint' ? doomed.id : doomed.executionId;
    await database.query((await statementsOf(place)).bury, [[scope], [key], [9]]);
    await writer.write([{ sink, records: [{ sequence: 8, body }] }]);

    const rows = () => database.query(`SELECT 1 FROM ${place.schema}.checkpoints`);
    await maintain();
    expect(await store.list(doomed.executionId)).toEqual([]);
    expect(await rows()).toHaveLength(1);
    await age('2 minutes');
    await maintain();
    expect(await rows()).toEqual([]);
    expect(await database.query(`SELECT settled FROM ${place.schema}.checkpoints_tombstones`)).toEqual([
      { settled: 't' },
    ]);
  });
});

describe('a save with a lower version that is made while a delete is under way', () => {
  it('takes the place of the row that is about to go', async () => {
    const doomed = newCheckpoint({ version: 9 });
    const writer = new BatchWriter(database);
    const write = (sequence: number, checkpoint: ReturnType<typeof newCheckpoint>) =>
      writer.write([
        {
          sink,
          records: [{ sequence, body: new CheckpointRow(serializeCheckpoint(checkpoint)).toBuffer() }],
        },
      ]);
    await write(7, doomed);
    const { bury, removeBuried } = await statementsOf(place);
    await database.query(bury, [['execution'], [doomed.executionId], [8]]);
    await write(9, { ...doomed, version: 1, state: 'after' });
    await database.query(removeBuried.execution, [[doomed.executionId], [8]]);
    expect(await store.load(doomed.id)).toMatchObject({ version: 1, state: 'after' });
  });

  it('is told as deleted, and not as lost, where it was written before the tombstone and went with that row', async () => {
    const checkpoint = newCheckpoint({ version: 1 });
    const { executionId } = checkpoint;
    const receipt = await store.save(checkpoint);
    await database.query((await statementsOf(place)).bury, [
      ['execution'],
      [executionId],
      [receipt.sequence - 1],
    ]);
    await place.client.unlink(await place.client.keys(`${place.keys.jobPrefix}*`));
    expect(await receipt.committed()).toBe('deleted');
  });
});
