import { describe, expect, it, onTestFinished } from 'vitest';
import { PostgresCheckpointStore } from '../../src/index.js';
import { Database } from '../../src/postgres/database.js';
import { tableNames } from '../../src/postgres/identifiers.js';
import { redisTimeUs } from '../../src/redis/clock.js';
import { CheckpointSink } from '../../src/writer/checkpoint-sink.js';
import { ClockOffset } from '../../src/writer/clock-offset.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { type Place, startWriter, testPlace, testStore } from './place.js';

const SECOND_MS = 1000;
const HOUR_MS = 3600 * SECOND_MS;

/** A place whose PostgreSQL has a clock that differs from Redis' by so many milliseconds. */
async function skewedPlace(skewMs: number): Promise<Place> {
  const place = await testPlace();
  // Found before the built-in functions, because the search path names these last.
  for (const name of ['clock_timestamp', 'now']) {
    await place.pool.query(`
      CREATE FUNCTION ${place.schema}.${name}() RETURNS timestamptz LANGUAGE sql STABLE
        AS $$ SELECT pg_catalog.${name}() + interval '${skewMs} ms' $$`);
  }
  const url = new URL(place.postgres);
  url.searchParams.set('options', `-c search_path=${place.schema},pg_catalog`);
  return { ...place, postgres: url.toString() };
}

function plainStore({ postgres, schema }: Place): PostgresCheckpointStore {
  const store = new PostgresCheckpointStore({ postgres, schema });
  onTestFinished(() => store.close());
  return store;
}

/** What a writer does once a minute. */
async function maintain(place: Place): Promise<void> {
  const database = new Database(place.postgres);
  try {
    const clocks = new ClockOffset(database, () => redisTimeUs(place.client, place.keys));
    const bounds = { tombstoneDays: 30, oldestSequence: undefined, clocks: await clocks.get() };
    await new CheckpointSink(tableNames({ schema: place.schema })).maintain(database, bounds);
  } finally {
    await database.close();
  }
}

describe.each([-HOUR_MS, -SECOND_MS, -50, 0, 50, SECOND_MS, HOUR_MS])(
  "with PostgreSQL's clock %i ms ahead of Redis', a plain store",
  (skewMs) => {
    it.each(['clear', 'delete'] as const)(
      '%s of what it saved itself stops no later save through the queue, whatever its version',
      async (how) => {
        const place = await skewedPlace(skewMs);
        const plain = plainStore(place);
        const queued = testStore(place);
        await startWriter(place);
        for (const version of [1, 5]) {
          const { id, executionId } = newCheckpoint();
          await plain.save(newCheckpoint({ id, executionId, version: 3 }));
          await (how === 'clear' ? plain.clear(executionId as string) : plain.delete(id));
          const receipt = await queued.save(newCheckpoint({ id, executionId, version }));
          expect(await receipt.committed()).toBe('committed');
          expect(await queued.latest(executionId as string)).toMatchObject({ version });
        }
      },
    );

    it.each([
      ['before', false],
      ['after', true],
    ])('deletes for good what waits in the queue, %s the tombstone is translated', async (_, translated) => {
      const place = await skewedPlace(skewMs);
      const plain = plainStore(place);
      const queued = testStore(place);
      await plain.initSchema();
      const { id, executionId } = newCheckpoint();
      const waiting = await queued.save(newCheckpoint({ id, executionId, version: 9 }));
      // An acknowledgement and the delete after it are further apart than clocks can be measured.
      await new Promise((resolve) => setTimeout(resolve, 50));
      await plain.clear(executionId as string);
      const later = await queued.save(newCheckpoint({ id, executionId, version: 1 }));
      if (translated) await maintain(place);
      await startWriter(place);
      expect(await waiting.committed()).toBe('deleted');
      expect(await later.committed()).toBe('committed');
      expect(await queued.latest(executionId as string)).toMatchObject({ version: 1 });
    });

    it('and a queued one delete each other’s checkpoints, and each sees what is saved after that', async () => {
      const place = await skewedPlace(skewMs);
      const plain = plainStore(place);
      const queued = testStore(place);
      await startWriter(place);
      const { id, executionId } = newCheckpoint();
      for (let round = 0; round < 3; round++) {
        await plain.save(newCheckpoint({ id, executionId }));
        await queued.clear(executionId as string);
        expect(await queued.list(executionId as string)).toEqual([]);
        const receipt = await queued.save(newCheckpoint({ id, executionId }));
        expect(await receipt.committed()).toBe('committed');
        await plain.delete(id);
        expect(await plain.list(executionId as string)).toEqual([]);
      }
    });
  },
);
