import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { CheckpointWriter } from '../../src/index.js';
import { GraphRecord } from '../../src/langgraph/graph-record.js';
import { markOf } from '../../src/redis/queue-keys.js';
import { openPlace, type Place } from '../store/place.js';
import { chunkOf, deadLetters, failedJobs, forgeJob } from '../writer/forged-jobs.js';
import { recordOf } from './graph-records.js';
import { graphWriterOptions } from './graph-writer.js';
import { testSaver, tuplesOf } from './place.js';
import { checkpointOf } from './rich-thread.js';
import { onThread } from './scenarios.js';

type Field = Buffer | null;

/** A row with its fields, with its length before it. */
function rowOf(fields: readonly Field[]): Buffer {
  const bytes = fields.flatMap((field) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(field?.length ?? -1);
    return field ? [length, field] : [length];
  });
  return withLength(Buffer.concat(bytes));
}

function withLength(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function integer(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

const KINDS = { checkpoint: 0, blob: 1, write: 2 };
const [text, jsonb] = [Buffer.from('forged'), Buffer.from('\x01{}')];

/** The fields of a row that is right but for some of them. */
function fieldsOf(kind: keyof typeof KINDS, changes: Record<number, Field> = {}): Field[] {
  const start: Field[] = [integer(KINDS[kind]), text, text];
  const rest: Record<keyof typeof KINDS, Field[]> = {
    checkpoint: [text, null, jsonb, jsonb, null, null, null, null, null, null, null],
    blob: [null, null, null, null, text, text, text, text, null, null, null],
    write: [text, null, null, null, text, null, text, text, text, integer(0), text],
  };
  return [...start, ...rest[kind]].map((field, index) =>
    index in changes ? (changes[index] as Field) : field,
  );
}

const good = recordOf({ kind: 'put', sequence: 1, thread: 'forged', checkpoint: 'c', blobs: ['b'] }).body;

/** Bodies that no saver made, and the beginning of the reason that is given. */
const UNREADABLE: Array<[what: string, body: Buffer, reason: RegExp]> = [
  ['nothing', Buffer.alloc(0), /is empty/],
  ['random bytes', Buffer.concat([Buffer.from([0x7f]), randomBytes(200)]), /cut short/],
  ['a cut end', good.subarray(0, -1), /cut short/],
  ['a byte more', Buffer.concat([good, Buffer.from([0])]), /cut short/],
  ['a row without fields', withLength(Buffer.alloc(0)), /lacks fields/],
  ['a row with a field less', rowOf(fieldsOf('blob').slice(0, -1)), /lacks fields/],
  ['a row with a field more', rowOf([...fieldsOf('blob'), null]), /do not add up/],
  ['a field longer than its row', withLength(Buffer.concat([integer(99), text])), /has not its form/],
  ['a field of negative length', withLength(Buffer.concat([integer(-2), text])), /has not its form/],
  ['a row of another kind', rowOf(fieldsOf('blob', { 0: integer(3) })), /has not its form/],
  ['a row of no kind', rowOf(fieldsOf('blob', { 0: null })), /has not its form/],
  ['a kind of two bytes', rowOf(fieldsOf('blob', { 0: Buffer.alloc(2) })), /has not its form/],
  ['an index of eight bytes', rowOf(fieldsOf('write', { 12: Buffer.alloc(8) })), /has not its form/],
  ['no thread', rowOf(fieldsOf('blob', { 1: null })), /has not its form/],
  [
    'two threads',
    Buffer.concat([rowOf(fieldsOf('blob')), rowOf(fieldsOf('write', { 1: Buffer.from('x') }))]),
    /one thread/,
  ],
  [
    'JSONB of another format',
    rowOf(fieldsOf('checkpoint', { 5: Buffer.from('\x02{}') })),
    /has not its form/,
  ],
  ['JSONB of no bytes', rowOf(fieldsOf('checkpoint', { 6: Buffer.alloc(0) })), /has not its form/],
];

/** Bodies that only PostgreSQL can refuse, and its code. */
const REFUSED: Array<[what: string, body: Buffer, sqlState: string]> = [
  ['text that is not UTF-8', rowOf(fieldsOf('blob', { 7: Buffer.from([0xff]) })), '22021'],
  ['text with a NUL', rowOf(fieldsOf('write', { 11: Buffer.from([0]) })), '22021'],
  ['JSON that is none', rowOf(fieldsOf('checkpoint', { 5: Buffer.from('\x01{"a":') })), '22P02'],
  ['U+0000 in JSON', rowOf(fieldsOf('checkpoint', { 6: Buffer.from('\x01"\\u0000"') })), '22P05'],
  ['no checkpoint', rowOf(fieldsOf('checkpoint', { 5: null })), '23502'],
  ['no type', rowOf(fieldsOf('blob', { 9: null })), '23502'],
  ['no index', rowOf(fieldsOf('write', { 12: null })), '23502'],
  [
    'a key that is too long',
    rowOf(fieldsOf('write', { 11: Buffer.from(randomBytes(9000).toString('hex')) })),
    '54000',
  ],
];

/** A job for the graph tables with these bodies; its thread is marked as pending. */
async function forge(place: Place, ...bodies: Buffer[]): Promise<string> {
  const data = { sink: 'langgraph', target: `${place.schema}.checkpoints`, records: bodies.length, bytes: 1 };
  const jobId = await forgeJob(place, { data, payload: chunkOf('forged', ...bodies) });
  await place.client.zadd(place.keys.marks, 0, markOf('forged', jobId));
  return jobId;
}

/** Puts beside it, which must be committed. */
async function expectOthersCommitted(): Promise<void> {
  const saver = testSaver(place, { maxChunkRecords: 2 });
  await saver.deleteThread('others');
  const steps = Array.from({ length: 10 }, (_, step) => step);
  await Promise.all(
    steps.map((step) =>
      saver.put(
        onThread('others'),
        checkpointOf(step, { a: step }, { a: step + 1 }),
        { source: 'loop', step, parents: {} },
        { a: step + 1 },
      ),
    ),
  );
  expect(await tuplesOf(saver, 'others')).toHaveLength(10);
}

let place: Place;
let writer: CheckpointWriter;
beforeAll(async () => {
  place = await openPlace();
  writer = new CheckpointWriter(graphWriterOptions(place));
  await writer.start();
});
afterAll(async () => {
  await writer?.close();
  await place?.remove();
});

it.each(UNREADABLE)('a job with %s fails, says why, and holds up nobody', async (_, body, reason) => {
  const jobId = await forge(place, body);
  await expectOthersCommitted();
  await vi.waitFor(async () => expect([...(await failedJobs(place)).keys()]).toContain(jobId));
  expect((await failedJobs(place)).get(jobId)).toMatch(reason);
  // Nobody knows what it was to write: its thread is not read until somebody has removed it.
  await expect(testSaver(place).getTuple(onThread('forged'))).rejects.toMatchObject({
    code: 'WRITE_REFUSED',
  });
});

it('bodies that only PostgreSQL can refuse become dead letters, each of them alone', async () => {
  const failed = await failedJobs(place);
  const fine = new GraphRecord('forged', [
    { kind: 'blob', namespace: '', channel: 'fine', version: '1', type: 'json', blob: text },
  ]).toBuffer();
  await forge(place, ...REFUSED.flatMap(([, body]) => [fine, body]), fine);
  await expectOthersCommitted();
  await vi.waitFor(async () => expect(await deadLetters(place)).toHaveLength(REFUSED.length), 10_000);
  expect(await deadLetters(place)).toMatchObject(
    REFUSED.map(([, , sqlState]) => ({ sqlState, executionId: 'forged', sink: 'langgraph' })),
  );
  expect(await failedJobs(place)).toEqual(failed);
  const { rows } = await place.pool.query(
    `SELECT channel FROM ${place.schema}.checkpoint_blobs WHERE thread_id = 'forged'`,
  );
  expect(rows).toEqual([{ channel: 'fine' }]);
});
