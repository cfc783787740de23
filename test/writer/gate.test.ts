import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { QueuedCheckpointStore } from '../../src/index.js';
import { tableNames } from '../../src/postgres/identifiers.js';
import { SAFEGUARDS } from '../../src/postgres/safeguards.js';
import { CheckpointSink } from '../../src/writer/checkpoint-sink.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { HeldCommits } from './held-commit.js';

/** A store, and a batch that stands between its tombstone check and its COMMIT with a save of this checkpoint. */
async function standingBatch(gate: boolean) {
  const place = await testPlace();
  const store = testStore(place, {
    postgres: { connectionString: place.postgres, application_name: place.schema },
  });
  await store.initSchema();
  const held = new HeldCommits({ connectionString: place.postgres });
  const sink = new CheckpointSink(tableNames({ schema: place.schema }), { ...SAFEGUARDS, gate });
  // One chunk in hand: it takes no other while that one stands.
  await startWriter(place, { postgres: held, checkpoints: false, sinks: [sink], concurrency: 1 });
  const checkpoint = newCheckpoint();
  const receipt = await store.save(checkpoint);
  await held.stands();
  return { place, store, held, checkpoint, receipt };
}

/** Resolves when the store waits for a batch. */
async function waitsForBatch({ pool, schema }: Place): Promise<void> {
  await vi.waitFor(async () => {
    const { rows } = await pool.query(
      `SELECT 1 FROM pg_stat_activity
        WHERE application_name = $1 AND wait_event_type = 'Lock' AND wait_event = 'advisory'`,
      [schema],
    );
    expect(rows).toHaveLength(1);
  });
}

/** What of the execution is in the table, read before and after all that was saved is committed. */
async function listTwice(store: QueuedCheckpointStore, executionId: string): Promise<number[]> {
  const first = await store.list(executionId);
  await store.flush();
  return [first.length, (await store.list(executionId)).length];
}

describe('clear, while a batch stands between its tombstone check and its commit', () => {
  it('returns after the commit, and nothing of the execution is there', async () => {
    const { place, store, held, checkpoint, receipt } = await standingBatch(true);
    const clearing = store.clear(checkpoint.executionId);
    onTestFinished(() => clearing.catch(() => {}));
    await waitsForBatch(place);
    held.letGo();
    await clearing;
    expect(await listTwice(store, checkpoint.executionId)).toEqual([0, 0]);
    expect(await receipt.committed()).toBe('deleted');
  });

  it('without the gate returns before the commit, and the deleted row comes back', async () => {
    const { store, held, checkpoint } = await standingBatch(false);
    await store.clear(checkpoint.executionId);
    expect(await store.list(checkpoint.executionId)).toEqual([]);
    held.letGo();
    expect(await listTwice(store, checkpoint.executionId)).toEqual([expect.any(Number), 1]);
  });
});

// The row that the clear is about to remove is still there, with a higher version: giving way to it would lose the save.
describe('a save of a lower version, while a clear waits for a batch of another execution', () => {
  it('is stored, or its receipt says what became of it', async () => {
    const { place, store, held } = await standingBatch(true);
    await startWriter(place);
    const checkpoint = newCheckpoint({ version: 5 });
    await store.save(checkpoint, { ack: 'committed' });
    const clearing = store.clear(checkpoint.executionId);
    onTestFinished(() => clearing.catch(() => {}));
    await waitsForBatch(place);
    const receipt = await testStore(place).save({ ...checkpoint, version: 1 });
    await vi.waitFor(async () =>
      expect(await place.client.exists(`${place.keys.jobPrefix}w-${receipt.sequence}`)).toBe(0),
    );
    held.letGo();
    await clearing;
    expect(await receipt.committed()).toMatch(/^(committed|superseded|deleted)$/);
  });
});

// What was acknowledged before the clear is left out under its tombstone, so what was stored before must not show any more.
describe('a latest read, while a clear waits for a batch of another execution', () => {
  it.each(['latest', 'list'] as const)('%s sees all that was acknowledged, or nothing', async (view) => {
    const { place, store, held } = await standingBatch(true);
    const first = await startWriter(place);
    const step1 = newCheckpoint({ timestamp: new Date(1) });
    const step2 = newCheckpoint({ executionId: step1.executionId, timestamp: new Date(2) });
    await store.save(step1, { ack: 'committed' });
    await first.close();
    await store.save(step2);
    const clearing = store.clear(step1.executionId);
    onTestFinished(() => clearing.catch(() => {}));
    await waitsForBatch(place);
    await startWriter(place);
    const seen = await testStore(place)[view](step1.executionId, { consistency: 'latest' });
    held.letGo();
    const ids = [seen ?? []].flat().map(({ id }) => id);
    expect(ids.length === 0 || ids.includes(step2.id), `saw ${ids.length} of 2, not the last one`).toBe(true);
  });
});
