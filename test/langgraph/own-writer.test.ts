import { describe, expect, it } from 'vitest';
import { CheckpointWriter, type CheckpointWriterOptions } from '../../src/index.js';
import { langGraphSink, QueuedPostgresSaver } from '../../src/langgraph/index.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { startWriter, testPlace, testStore } from '../store/place.js';
import { rowsOf, testSaver } from './place.js';
import { putRichThread } from './rich-thread.js';

const NOWHERE = { redis: 'redis://127.0.0.1:1', postgres: 'postgresql://127.0.0.1:1/none' };

function refusalBy(make: () => unknown): unknown {
  try {
    make();
  } catch (error) {
    return error;
  }
  return expect.unreachable('it was accepted');
}

describe('a CheckpointWriter with langGraphSink()', () => {
  it('commits the puts of a saver, and nothing else, with checkpoints: false', async () => {
    const place = await testPlace();
    const { schema, pool } = place;
    const saver = testSaver(place);
    await putRichThread(saver, 'thread');
    await startWriter(place, { checkpoints: false, sinks: [langGraphSink({ schema })] });
    await saver.flush('thread');
    expect(await rowsOf(place, 'thread')).toMatchObject({ checkpoints: 4 });
    expect(await place.client.zcard(place.keys.chunks)).toBe(0);
    // The checkpoint table of that name would be another family's.
    const { rows } = await pool.query('SELECT to_regclass($1) AS found', [
      `${schema}.checkpoints_tombstones`,
    ]);
    expect(rows).toEqual([{ found: null }]);
  });

  it('commits saves and puts of one queue side by side', async () => {
    const place = await testPlace();
    const { schema } = place;
    const table = 'agent_checkpoints';
    const saver = testSaver(place);
    const store = testStore(place, { table });
    const checkpoint = newCheckpoint();
    await startWriter(place, { table, sinks: [langGraphSink({ schema })] });
    await Promise.all([putRichThread(saver, 'thread'), store.save(checkpoint, { ack: 'committed' })]);
    await saver.flush();
    expect(await store.load(checkpoint.id)).toMatchObject(checkpoint);
    expect(await rowsOf(place, 'thread')).toMatchObject({ checkpoints: 4 });
  });

  it('may be the writer of a store in the same process', async () => {
    const place = await testPlace();
    const sinks = [langGraphSink({ schema: place.schema })];
    const store = testStore(place, { table: 'agent_checkpoints', writer: { sinks } });
    const saver = testSaver(place);
    await Promise.all([putRichThread(saver, 'thread'), store.save(newCheckpoint(), { ack: 'committed' })]);
    await saver.flush();
    expect(await rowsOf(place, 'thread')).toMatchObject({ checkpoints: 4 });
  });
});

it('langGraphSink() writes where a saver without a schema does', () => {
  expect(langGraphSink().target).toBe('langgraph.checkpoints');
  expect(langGraphSink({ schema: undefined }).target).toBe('langgraph.checkpoints');
});

it.each([
  ['schema', { schema: 'drop table "x"\0' }],
  ['schema', { schema: 7 }],
  ['schema', { schema: 'x'.repeat(64) }],
  ['options', null],
  ['options', 'public'],
])('langGraphSink() refuses %s: %j', (field, options) => {
  expect(refusalBy(() => langGraphSink(options as never))).toMatchObject({ code: 'INVALID_CONFIG', field });
});

const refusedByWriter: [string, string, Partial<Record<keyof CheckpointWriterOptions, unknown>>][] = [
  ['no sink at all', 'sinks', { checkpoints: false }],
  ['a sink without an array', 'sinks', { sinks: langGraphSink() }],
  ['the function instead of its sink', 'sinks', { sinks: [langGraphSink] }],
  ['null among the sinks', 'sinks', { sinks: [null] }],
  ['two schemas', 'sinks', { sinks: [langGraphSink({ schema: 'one' }), langGraphSink({ schema: 'two' })] }],
  ['checkpoints that are no boolean', 'checkpoints', { checkpoints: 'no', sinks: [langGraphSink()] }],
  [
    'keepLast for a table that it does not write',
    'retention',
    { checkpoints: false, sinks: [langGraphSink()], retention: { keepLast: 5 } },
  ],
  [
    'olderThan for a table that it does not write',
    'retention',
    { checkpoints: false, sinks: [langGraphSink()], retention: { olderThan: 1000 } },
  ],
];

it.each(refusedByWriter)('a writer refuses %s', (_, field, options) => {
  const make = () => new CheckpointWriter({ ...NOWHERE, ...options } as never);
  expect(refusalBy(make)).toMatchObject({ code: 'INVALID_CONFIG', field });
});

it.each([
  ['writer.sinks', { sinks: [langGraphSink()] }],
  ['writer.checkpoints', { checkpoints: true }],
  ['retention', { retention: { keepLast: 5 } }],
])('the writer of a saver refuses %s', (field, writer) => {
  const make = () => new QueuedPostgresSaver({ ...NOWHERE, writer } as never);
  expect(refusalBy(make)).toMatchObject({ code: 'INVALID_CONFIG', field });
});
