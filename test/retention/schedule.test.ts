import { once } from 'node:events';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { CheckpointWriter, PostgresCheckpointStore, QueuedCheckpointStore } from '../../src/index.js';
import { type Logger, silentLogger } from '../../src/logger.js';
import { Database } from '../../src/postgres/database.js';
import { tableNames } from '../../src/postgres/identifiers.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { DeadLetterQueue } from '../../src/redis/dead-letter-queue.js';
import { retentionQueue } from '../../src/redis/queue-keys.js';
import { retentionOfEnvironment, retentionSettings } from '../../src/retention/retention-options.js';
import { RetentionSchedule } from '../../src/retention/retention-schedule.js';
import { forgedLine, testLetters } from '../dead-letters/letters.js';
import { type Place, startWriter, testPlace, testWriter } from '../store/place.js';
import { daily, days, saveLongAgo, storedIds, waitsFor } from './rows.js';

const HOUR_MS = 3_600_000;

let place: Place;
let plain: PostgresCheckpointStore;
beforeEach(async () => {
  place = await testPlace();
  plain = new PostgresCheckpointStore({ postgres: place.postgres, schema: place.schema });
  onTestFinished(() => plain.close());
  // The keys of its queue go with the test; the place removes those of the main one.
  const { name } = retentionQueue(place.keys);
  onTestFinished(async () => {
    const left = await place.client.keys(`${place.keys.prefix}:${name}:*`);
    if (left.length > 0) await place.client.unlink(left);
  });
  await plain.saveBatch([...daily('a', 5), ...daily('b', 2)]);
  await saveLongAgo(place);
});

function isScheduled(): Promise<string | null> {
  return place.client.zscore(retentionQueue(place.keys).schedulers, 'retention');
}

/** What of the runs is left in Redis: of BullMQ's lists and sets. */
async function jobs(): Promise<object> {
  const base = `${place.keys.prefix}:${retentionQueue(place.keys).name}`;
  const [wait, active] = await Promise.all(
    ['wait', 'active'].map((list) => place.client.llen(`${base}:${list}`)),
  );
  const [delayed, completed, failed] = await Promise.all(
    ['delayed', 'completed', 'failed'].map((set) => place.client.zcard(`${base}:${set}`)),
  );
  return { wait, active, delayed, completed, failed };
}

function recordingLogger(): Logger & { lines: string[] } {
  const lines: string[] = [];
  const log = (fields: object, message: string) => void lines.push(`${message} ${JSON.stringify(fields)}`);
  return { lines, debug: log, info: log, warn: log, error: log } as Logger & { lines: string[] };
}

it('three replicas do it once, at once when it is new, and then wait for its next time', async () => {
  const writers = [1, 2, 3].map(() => testWriter(place, { retention: { keepLast: 2, every: HOUR_MS } }));
  const runs: object[] = [];
  for (const writer of writers) writer.on('retention', (result) => runs.push(result));
  const first = Promise.race(writers.map((writer) => once(writer, 'retention')));
  await Promise.all(writers.map((writer) => writer.start()));
  await first;
  await expect.poll(jobs).toEqual({ wait: 0, active: 0, delayed: 1, completed: 0, failed: 0 });
  expect(runs).toEqual([{ pruned: 3, heldBack: 0, interrupted: false, deadLettersPurged: 0 }]);
  expect(await storedIds(place)).toEqual(['a:4', 'a:5', 'b:1', 'b:2']);

  // One that is started later does not bring the next run forward.
  const next = await isScheduled();
  expect(Number(next)).toBeGreaterThan(Date.now());
  const late = await startWriter(place, { retention: { keepLast: 2, every: HOUR_MS } });
  late.on('retention', (result) => runs.push(result));
  await expect.poll(jobs).toMatchObject({ wait: 0, active: 0, delayed: 1 });
  expect(await isScheduled()).toBe(next);
  expect(runs).toHaveLength(1);
});

it('does it again at its next time', async () => {
  const writer = testWriter(place, { retention: { olderThan: days(1.5), every: 1000 } });
  const runs: number[] = [];
  writer.on('retention', ({ pruned }) => runs.push(pruned));
  await writer.start();
  await expect.poll(() => runs).toEqual([5]);
  await plain.saveBatch(daily('c', 2));
  await expect.poll(() => runs, { timeout: 10_000 }).toContain(1);
  expect(await storedIds(place)).toEqual(['a:5', 'b:2', 'c:2']);
});

it('is taken back by a replica that is told so, and left alone by one that knows nothing of it', async () => {
  const writer = testWriter(place, { retention: { keepLast: 2 } });
  const done = once(writer, 'retention');
  await writer.start();
  await done;
  await writer.close();
  await startWriter(place);
  expect(await isScheduled()).not.toBeNull();
  await startWriter(place, { retention: false });
  await expect.poll(isScheduled).toBeNull();
  await expect.poll(jobs).toMatchObject({ wait: 0, delayed: 0 });
});

it('leaves nothing in Redis where there is no retention', async () => {
  await startWriter(place, { retention: false });
  await plain.save({ id: 'x', executionId: 'x', nodeName: '', state: 1 });
  const { name, prefix } = retentionQueue(place.keys);
  expect(await place.client.keys(`${prefix}:${name}:*`)).toEqual([]);
});

it('is put back where Redis has lost it', async () => {
  const database = new Database(place.postgres);
  onTestFinished(() => database.close());
  const connection = new RedisConnection(place.redis, place.keys, 'worker');
  onTestFinished(() => connection.close());
  const { client } = connection;
  const { keys, schema } = place;
  const deadLetters = new DeadLetterQueue(client, keys, () => {});
  const names = tableNames({ schema });
  const destination = { sink: 'checkpoints', target: names.label };
  const schedule = new RetentionSchedule({
    place: { client, keys, database, names, destination, deadLetters },
    settings: retentionSettings({ keepLast: 2 }),
    lockDurationMs: 30_000,
    logger: silentLogger,
    onRun: () => {},
  });
  onTestFinished(() => schedule.close());
  schedule.start();
  await expect.poll(jobs).toMatchObject({ delayed: 1, active: 0 });
  await client.unlink(...(await client.keys(`${keys.prefix}:${retentionQueue(keys).name}:*`)));
  await schedule.chore.run();
  expect(await isScheduled()).not.toBeNull();
});

it('the limits of the replica that was started last are in force for all', async () => {
  const old = testWriter(place, { retention: { keepLast: 4, every: 1000 } });
  const first = once(old, 'retention');
  await old.start();
  expect(await first).toMatchObject([{ pruned: 1 }]);
  const writer = await startWriter(place, { retention: { keepLast: 1, every: 1000 } });
  await expect.poll(() => storedIds(place), { timeout: 10_000 }).toEqual(['a:5', 'b:2']);
  await writer.close();
});

it('tells a failure, without values, and tries again at the next time', async () => {
  const { schema, pool } = place;
  await pool.query(`
    CREATE FUNCTION ${schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'secret %', OLD.state USING ERRCODE = '53100'; END $$;
    CREATE TRIGGER refuse BEFORE DELETE ON ${schema}.checkpoints FOR EACH ROW EXECUTE FUNCTION ${schema}.refuse()`);
  const logger = recordingLogger();
  const writer = testWriter(place, { logger, retention: { keepLast: 1, every: 1000 } });
  await writer.start();
  await vi.waitFor(
    () => expect(logger.lines.join('\n')).toMatch(/retention failed.*"sqlState":"53100"/),
    10_000,
  );
  expect(logger.lines.join('\n')).not.toContain('secret');
  const done = once(writer, 'retention');
  await pool.query(`DROP TRIGGER refuse ON ${schema}.checkpoints`);
  expect(await done).toMatchObject([{ pruned: 5 }]);
  await expect.poll(jobs).toMatchObject({ failed: 0 });
});

it('gives up dead letters by their own age, and first, for they hold back checkpoints', async () => {
  const letters = testLetters(place);
  const letter = (sequence: number, ageDays: number, executionId: string) => {
    const lastFailedAt = new Date(Date.now() - days(ageDays)).toISOString();
    return forgedLine(place, { sequence, executionId, lastFailedAt });
  };
  await letters.import([letter(11, 40, 'a'), letter(12, 10, 'b'), letter(13, 31, 'c')]);
  const writer = testWriter(place, { retention: { keepLast: 1, deadLettersOlderThan: days(30) } });
  const done = once(writer, 'retention');
  await writer.start();
  expect(await done).toMatchObject([{ deadLettersPurged: 2, pruned: 4, heldBack: 1 }]);
  expect(await letters.list()).toMatchObject([{ sequence: 12 }]);
  expect(await storedIds(place)).toEqual(['a:5', 'b:1', 'b:2']);
});

it('stops between two batches when its replica closes', { timeout: 120_000 }, async () => {
  await plain.saveBatch(daily('long', 6000));
  await saveLongAgo(place);
  const rival = await place.pool.connect();
  onTestFinished(() => rival.release());
  const { schema } = place;
  await rival.query(`BEGIN; LOCK TABLE ${schema}.checkpoints IN SHARE MODE`);
  const writer = testWriter(place, { retention: { keepLast: 1 } });
  const runs: object[] = [];
  writer.on('retention', (result) => runs.push(result));
  await writer.start();
  await expect.poll(() => waitsFor(place, `${schema}.checkpoints`), { timeout: 10_000 }).toBe(true);
  const closing = writer.close({ deadlineMs: 10_000 });
  await rival.query('COMMIT');
  await closing;
  expect(runs).toMatchObject([{ interrupted: true }]);
  expect((await storedIds(place)).length).toBeGreaterThan(4000);
});

describe('its options', () => {
  it.each<[string, object]>([
    ['retention.keepLast', {}],
    ['retention.keepLast', { every: '1h' }],
    ['retention.keepLast', { keepLast: 0 }],
    ['retention.olderThan', { olderThan: '30d' }],
    ['retention.deadLettersOlderThan', { deadLettersOlderThan: Number.NaN }],
    ['retention.every', { keepLast: 1, every: 'often' }],
    ['retention.every', { keepLast: 1, every: '61 * * * *' }],
    ['retention.every', { keepLast: 1, every: 10 }],
    ['retention."keeplast"', { olderThan: 1, keeplast: 1 }],
  ])('name the field %s of %j', (field, retention) => {
    const { redis, postgres } = place;
    const invalid = expect.objectContaining({ code: 'INVALID_CONFIG', field });
    expect(() => new CheckpointWriter({ redis, postgres, retention })).toThrow(invalid);
    expect(() => new QueuedCheckpointStore({ redis, postgres, writer: { retention } })).toThrow(invalid);
  });

  it('come from the environment; without limits there is no retention', () => {
    const none = {
      retentionKeepLast: undefined,
      retentionOlderThan: undefined,
      retentionDeadLettersOlderThan: undefined,
      retentionEvery: '0 3 * * *',
    };
    expect(retentionOfEnvironment(none)).toBe(false);
    expect(retentionOfEnvironment({ ...none, retentionKeepLast: 3, retentionOlderThan: '36h' })).toEqual({
      keepLast: 3,
      olderThan: 36 * HOUR_MS,
      every: '0 3 * * *',
    });
  });
});
