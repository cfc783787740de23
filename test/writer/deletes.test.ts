import pg from 'pg';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { serializeCheckpoint } from '../../src/checkpoint.js';
import { PostgresCheckpointStore, QueuedCheckpointStore } from '../../src/index.js';
import { Database } from '../../src/postgres/database.js';
import { tableNames } from '../../src/postgres/identifiers.js';
import { BatchWriter } from '../../src/writer/batch-writer.js';
import { CheckpointRow } from '../../src/writer/checkpoint-row.js';
import { CheckpointSink } from '../../src/writer/checkpoint-sink.js';
import type { WriteRecord } from '../../src/writer/sink.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { type Place, startWriter, statementsOf, testPlace, testStore } from '../store/place.js';
import { HeldCommits } from './held-commit.js';

const NOT_FOUND = { code: 'CHECKPOINT_NOT_FOUND' };

let place: Place;
beforeEach(async () => {
  place = await testPlace();
  await testStore(place).initSchema();
});

/** Resolves when a connection of this name waits for an advisory lock. */
async function waitsForGate(applicationName: string): Promise<void> {
  await vi.waitFor(async () => {
    const { rows } = await place.pool.query(
      `SELECT 1 FROM pg_stat_activity
        WHERE application_name = $1 AND wait_event_type = 'Lock' AND wait_event = 'advisory'`,
      [applicationName],
    );
    expect(rows).toHaveLength(1);
  });
}

describe.each(['delete', 'clear'] as const)('%s while a batch stands before its commit', (method) => {
  it('waits for the batch, and nothing of it remains', async () => {
    const held = new HeldCommits({ connectionString: place.postgres });
    await startWriter(place, { postgres: held });
    const checkpoint = newCheckpoint();
    const store = testStore(place, {
      postgres: { connectionString: place.postgres, application_name: place.schema },
    });
    const receipt = await store.save(checkpoint);
    await held.stands();

    let returned = false;
    const key = method === 'delete' ? checkpoint.id : checkpoint.executionId;
    const removing = store[method](key).finally(() => {
      returned = true;
    });
    await waitsForGate(place.schema);
    expect(returned).toBe(false);
    held.letGo();
    await removing;
    await expect(store.load(checkpoint.id)).rejects.toMatchObject(NOT_FOUND);
    expect(await receipt.committed()).toBe('deleted');
    await expect(store.load(checkpoint.id)).rejects.toMatchObject(NOT_FOUND);
  });

  it('waits for no batch that has its last look before it, and that batch commits nothing of it', async () => {
    const { lastLook } = await statementsOf(place);
    const held = new HeldCommits({ connectionString: place.postgres }, lastLook);
    const writer = await startWriter(place, { postgres: held });
    const store = testStore(place);
    const [doomed, kept] = [newCheckpoint(), newCheckpoint()];
    const receipts = await store.saveBatch([doomed, kept]);
    await held.stands();
    await store[method](method === 'delete' ? doomed.id : doomed.executionId);
    held.letGo();
    await store.flush();
    expect(await Promise.all(receipts.map((receipt) => receipt.committed()))).toEqual([
      'deleted',
      'committed',
    ]);
    expect(await store.list(doomed.executionId)).toEqual([]);
    expect(writer.stats).toMatchObject({ committed: 1, deleted: 1, superseded: 0 });
  });

  it('holds up no batch once it is done, and a later save is stored', async () => {
    const checkpoint = newCheckpoint({ version: 9 });
    const store = testStore(place);
    await store.save(checkpoint);
    await store[method](method === 'delete' ? checkpoint.id : checkpoint.executionId);
    await startWriter(place);
    await store.save({ ...checkpoint, version: 0, state: 'later' }, { ack: 'committed' });
    expect((await store.load(checkpoint.id)).state).toBe('later');
  });
});

describe('a tombstone', () => {
  let write: (...records: WriteRecord[]) => ReturnType<BatchWriter['write']>;
  beforeEach(() => {
    const database = new Database(place.postgres);
    onTestFinished(() => database.close());
    const sink = new CheckpointSink(tableNames({ schema: place.schema }));
    const writer = new BatchWriter(database);
    write = (...records) => writer.write([{ sink, records }]);
  });

  it('stops what is delivered late, and what is delivered again', async () => {
    const store = testStore(place);
    await startWriter(place);
    const checkpoint = newCheckpoint();
    const { sequence } = await store.save(checkpoint, { ack: 'committed' });
    const body = new CheckpointRow(serializeCheckpoint({ ...checkpoint, version: 99 })).toBuffer();
    await store.clear(checkpoint.executionId);
    const after = await store.save(checkpoint, { ack: 'committed' });
    expect(await write({ sequence, body })).toEqual({ committed: 0, superseded: 0, deleted: 1 });
    expect((await store.load(checkpoint.id)).version).toBe(1);
    await store.delete(checkpoint.id);
    expect(await write({ sequence: after.sequence, body })).toMatchObject({ committed: 0, deleted: 1 });
    await expect(store.load(checkpoint.id)).rejects.toMatchObject(NOT_FOUND);
  });

  it('stops only its own key', async () => {
    const store = testStore(place);
    const [gone, kept] = [newCheckpoint(), newCheckpoint()];
    const sequence = (await store.save(newCheckpoint())).sequence;
    await store.clear(gone.executionId);
    await store.delete(kept.executionId);
    const records = [gone, kept].map((checkpoint) => ({
      sequence,
      body: new CheckpointRow(serializeCheckpoint(checkpoint)).toBuffer(),
    }));
    expect(await write(...records)).toEqual({ committed: 1, superseded: 0, deleted: 1 });
    expect((await store.load(kept.id)).id).toBe(kept.id);
  });

  it('is left by every store of the table, also for what never was there', async () => {
    const stores = [
      new PostgresCheckpointStore({ postgres: place.postgres, schema: place.schema }),
      testStore(place),
    ];
    onTestFinished(() => stores[0]?.close());
    for (const store of stores) {
      const checkpoint = newCheckpoint();
      const { sequence } = await testStore(place).save(newCheckpoint());
      await store.delete(checkpoint.id);
      const body = new CheckpointRow(serializeCheckpoint(checkpoint)).toBuffer();
      expect(await write({ sequence, body })).toMatchObject({ deleted: 1 });
    }
  });
});

it('many deletes and clears at once, under writes, end and leave nothing', async () => {
  await startWriter(place, { lingerMs: 0 });
  const pool = new pg.Pool({ connectionString: place.postgres, max: 6 });
  onTestFinished(() => pool.end());
  const { redis, schema, queue } = place;
  const store = new QueuedCheckpointStore({ redis, schema, queue, postgres: pool, maxChunkRecords: 3 });
  onTestFinished(() => store.close());
  const checkpoints = Array.from({ length: 60 }, () => newCheckpoint());
  await Promise.all(
    checkpoints.map(async (checkpoint, index) => {
      await store.save(checkpoint);
      await (index % 2 ? store.delete(checkpoint.id) : store.clear(checkpoint.executionId));
    }),
  );
  await store.flush();
  const { rows } = await pool.query(`SELECT count(*)::int AS left FROM ${schema}.checkpoints`);
  expect(rows).toEqual([{ left: 0 }]);
});
