import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Checkpoint,
  type CheckpointInput,
  CheckpointWriter,
  PostgresCheckpointStore,
  QueuedCheckpointStore,
} from '../../src/index.js';
import { newCheckpoint, newExecution } from '../contract/checkpoints.js';
import { jsonValue } from '../contract/json-values.js';
import { openPlace, type Place, testPlace, testStore } from './place.js';

const FIRST_DATE = new Date(Date.UTC(-4712, 0, 1));
const LAST_DATE = new Date(8.64e15);
const BYTES_5_MB = 5_000_000;

let place: Place;
let writer: CheckpointWriter;
let direct: PostgresCheckpointStore;
let queued: QueuedCheckpointStore;

beforeAll(async () => {
  place = await openPlace();
  const { redis, postgres, schema, queue } = place;
  direct = new PostgresCheckpointStore({ postgres, schema });
  queued = new QueuedCheckpointStore({ redis, postgres, schema, queue });
  writer = new CheckpointWriter({ redis, postgres, schema, queue, lingerMs: 0 });
  await writer.start();
});

afterAll(async () => {
  await queued.close();
  await writer.close();
  await direct.close();
  await place.remove();
});

/** Each path into the table, and back through a list. */
const PATHS: Array<[name: string, saveAll: (checkpoints: CheckpointInput[]) => Promise<void>]> = [
  ['saved directly', async (checkpoints) => void (await direct.saveBatch(checkpoints))],
  [
    'saved through the queue',
    async (checkpoints) => {
      await queued.saveBatch(checkpoints, { ack: 'committed' });
    },
  ],
];

describe.each(PATHS)('a checkpoint that was %s', (_, saveAll) => {
  /** Saves the checkpoints as one execution; the version is their place. */
  async function there(fields: Partial<CheckpointInput>[]): Promise<Checkpoint[]> {
    const executionId = newExecution();
    await saveAll(fields.map((some, version) => newCheckpoint({ ...some, executionId, version })));
    const listed = await direct.list(executionId);
    return listed.sort((a, b) => a.version - b.version);
  }

  it('has equal state and metadata, whatever JSON.stringify can produce', async () => {
    const pairs = fc.array(fc.tuple(jsonValue(), jsonValue()), { minLength: 50, maxLength: 120 });
    const comesBack = fc.asyncProperty(pairs, async (values) => {
      const stored = await there(values.map(([state, value]) => ({ state, metadata: { value } })));
      const expected = JSON.parse(JSON.stringify(values));
      const back = stored.map(({ state, metadata }) => [state, metadata?.value]);
      for (const [index, pair] of back.entries()) {
        expect(isDeepStrictEqual(pair, expected[index]), JSON.stringify(expected[index])).toBe(true);
      }
      expect(back).toHaveLength(values.length);
    });
    await fc.assert(comesBack, { numRuns: 15, endOnFailure: true });
  });

  it('has the same timestamp, from 4713 BC to the last date of JavaScript', async () => {
    const known = ['0000-01-01', '0001-01-01', '-000001-12-31', '9999-12-31', '+010000-01-01', '1999-12-31'];
    const examples = [
      FIRST_DATE,
      LAST_DATE,
      new Date(-1),
      new Date(0),
      ...known.map((text) => new Date(text)),
    ];
    const date = fc.date({ min: FIRST_DATE, max: LAST_DATE, noInvalidDate: true });
    const comesBack = fc.asyncProperty(fc.array(date, { minLength: 30, maxLength: 60 }), async (dates) => {
      const timestamps = [...examples, ...dates];
      const stored = await there(timestamps.map((timestamp) => ({ timestamp })));
      expect(stored.map(({ timestamp }) => timestamp)).toEqual(timestamps);
    });
    await fc.assert(comesBack, { numRuns: 8 });
  });

  it('is listed in the order of time, and between bounds, in every era', async () => {
    const dates = fc.uniqueArray(fc.date({ min: FIRST_DATE, max: LAST_DATE, noInvalidDate: true }), {
      selector: (date) => date.getTime(),
      minLength: 3,
      maxLength: 12,
    });
    const isOrdered = fc.asyncProperty(dates, async (timestamps) => {
      const executionId = newExecution();
      await saveAll(timestamps.map((timestamp) => newCheckpoint({ executionId, timestamp })));
      const sorted = timestamps.map(Number).sort((a, b) => a - b);
      const listed = async (options: { after?: Date; before?: Date }) =>
        (await direct.list(executionId, options)).map(({ timestamp }) => Number(timestamp));
      expect(await listed({})).toEqual(sorted);
      const [after, before] = [new Date(sorted[0] as number), new Date(sorted.at(-1) as number)];
      expect(await listed({ after, before })).toEqual(sorted.slice(1, -1));
    });
    await fc.assert(isOrdered, { numRuns: 15 });
  });

  it('has all of a state and metadata of 5 MB', async () => {
    const plain = 'x'.repeat(BYTES_5_MB);
    const tricky = '\0\ud800\u001a\\N\t"é😀'.repeat(BYTES_5_MB / 40);
    const stored = await there([
      { state: plain },
      { state: [tricky], metadata: { tricky } },
      { state: 'small' },
    ]);
    expect(stored.map(({ state, metadata }) => [state, metadata])).toEqual([
      [plain, null],
      [[tricky], { tricky }],
      ['small', null],
    ]);
  });
});

it('a checkpoint that is too large for the queue is committed without any writer', async () => {
  const own = await testPlace();
  const store = testStore(own);
  const checkpoint = newCheckpoint({ state: 'x'.repeat(BYTES_5_MB) });
  const receipt = await store.save(checkpoint);
  expect(await receipt.committed()).toBe('committed');
  expect((await store.load(checkpoint.id)).state).toBe(checkpoint.state);
  expect(await own.client.exists(own.keys.chunks, own.keys.marks)).toBe(0);
});
