import { describe, expect, it, vi } from 'vitest';
import { serializeCheckpoint } from '../../src/checkpoint.js';
import { CheckpointRow } from '../../src/writer/checkpoint-row.js';
import { newCheckpoint, newExecution } from '../contract/checkpoints.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { chunkOf, deadLetters, type ForgedJob, failedJobs, forgeJob } from './forged-jobs.js';

/** The seven fields of a body: id, execution, node, state, metadata, timestamp, version. */
type Fields = [Buffer, Buffer, Buffer, Buffer, Buffer | null, Buffer, Buffer];

function fieldsOf(executionId: string): Fields {
  const jsonb = Buffer.from('\x01{}');
  const name = Buffer.from('forged');
  return [name, Buffer.from(executionId), name, jsonb, null, Buffer.alloc(8), Buffer.alloc(4)];
}

function bodyOf(fields: ReadonlyArray<Buffer | null>): Buffer {
  return Buffer.concat(
    fields.flatMap((field) => {
      const length = Buffer.alloc(4);
      length.writeInt32BE(field?.length ?? -1);
      return field ? [length, field] : [length];
    }),
  );
}

/** A chunk whose body is right but for one field. */
function withField(index: number, field: Buffer | null): Buffer {
  const fields: Array<Buffer | null> = fieldsOf('forged');
  fields[index] = field;
  return chunkOf('forged', bodyOf(fields));
}

const goodBody = new CheckpointRow(serializeCheckpoint(newCheckpoint())).toBuffer();

/** What somebody, or a fault of memory, could put into the queue, and the beginning of the reason that is given. */
const FORGED: Array<[what: string, job: ForgedJob, reason: RegExp]> = [
  ['no payload', { indexed: true }, /payload is gone/],
  ['a payload of garbage', { payload: Buffer.from('garbage') }, /^Not a readable chunk: its format/],
  ['an empty payload', { payload: Buffer.alloc(0) }, /^Not a readable chunk/],
  ['a payload that is cut short', { payload: chunkOf('e', goodBody).subarray(0, -1) }, /cut short/],
  ['a body that is cut short', { payload: chunkOf('e', goodBody.subarray(0, -1)) }, /checkpoint/],
  [
    'a body that is too long',
    { payload: chunkOf('e', Buffer.concat([goodBody, goodBody])) },
    /do not add up/,
  ],
  ['an empty body', { payload: chunkOf('e', Buffer.alloc(0)) }, /lacks fields/],
  ['null as data', { data: null }, /names no sink/],
  ['a list as data', { data: [1] }, /names no sink/],
  ['a string as data', { data: 'sink' }, /names no sink/],
  ['a job id without a sequence', { jobId: 'by-hand' }, /job id holds no sequence/],
  ['no id', { payload: withField(0, null) }, /has not its form/],
  ['a state of no bytes', { payload: withField(3, Buffer.alloc(0)) }, /./],
  ['a state of another format of JSONB', { payload: withField(3, Buffer.from('\x02{}')) }, /./],
  ['metadata of no bytes', { payload: withField(4, Buffer.alloc(0)) }, /./],
  ['a timestamp that is too short', { payload: withField(5, Buffer.alloc(7)) }, /./],
  ['a timestamp that is too long', { payload: withField(5, Buffer.alloc(9)) }, /./],
];

/** Bodies that only PostgreSQL can refuse, and its code. */
const REFUSED: Array<[what: string, payload: Buffer, sqlState: string]> = [
  ['text that is not UTF-8', withField(3, Buffer.from([1, 0x22, 0xff, 0x22])), '22021'],
  ['text with a NUL', withField(2, Buffer.from([0])), '22021'],
  ['JSON that is none', withField(3, Buffer.from('\x01{"a":')), '22P02'],
  ['U+0000 in JSON', withField(3, Buffer.from('\x01"\\u0000"')), '22P05'],
  ['no state', withField(3, null), '23502'],
  ['a timestamp out of range', withField(5, Buffer.from('7ffffffffffffff0', 'hex')), '22008'],
];

/** Saves, and waits until all of it is committed. */
async function saveGood(place: Place): Promise<void> {
  const store = testStore(place, { maxChunkRecords: 2 });
  const executionId = newExecution();
  await store.saveBatch(
    Array.from({ length: 20 }, () => newCheckpoint({ executionId })),
    { ack: 'committed' },
  );
  expect(await store.list(executionId)).toHaveLength(20);
}

describe('a job that is none of ours', () => {
  it.each(FORGED)('with %s fails, says why, and holds up nobody', async (_, job, reason) => {
    const place = await testPlace();
    const jobId = await forgeJob(place, job);
    const writer = await startWriter(place);
    await saveGood(place);
    // A missing payload is given one more chance, five seconds later.
    await vi.waitFor(async () => expect([...(await failedJobs(place)).keys()]).toEqual([jobId]), 15_000);
    expect((await failedJobs(place)).get(jobId)).toMatch(reason);
    expect(writer.stats.records).toBeGreaterThanOrEqual(20);
  });

  it.each(REFUSED)('with %s leaves a dead letter, and holds up nobody', async (_, payload, sqlState) => {
    const place = await testPlace();
    const jobId = await forgeJob(place, { payload });
    await startWriter(place);
    await saveGood(place);
    await vi.waitFor(async () => expect(await deadLetters(place)).toHaveLength(1));
    expect(await deadLetters(place)).toMatchObject([
      { sqlState, jobId, id: 'forged', executionId: 'forged' },
    ]);
    expect(await failedJobs(place)).toEqual(new Map());
  });

  it.each([
    ['another table', { sink: 'checkpoints', target: 'other.checkpoints' }],
    ['a sink of a later release', { sink: 'unknown', target: 'x' }],
  ])('that is meant for %s goes back to the queue, for the worker that it is meant for', async (_, data) => {
    const place = await testPlace();
    const jobId = await forgeJob(place, { data });
    await startWriter(place);
    await saveGood(place);
    await vi.waitFor(async () =>
      expect(await place.client.zscore(`${place.keys.jobPrefix}delayed`, jobId)).not.toBeNull(),
    );
    expect((await failedJobs(place)).size).toBe(0);
  });

  it('that was added once more after it was done is removed', async () => {
    const place = await testPlace();
    const jobId = await forgeJob(place, {});
    await startWriter(place);
    const job = place.keys.jobPrefix + jobId;
    await vi.waitFor(async () => expect(await place.client.exists(job)).toBe(0), 15_000);
    expect(await failedJobs(place)).toEqual(new Map());
  });

  it('without a payload is written when its producer puts that back in time', async () => {
    const place = await testPlace();
    const jobId = await forgeJob(place, { indexed: true });
    await startWriter(place);
    await vi.waitFor(async () =>
      expect(await place.client.zscore(`${place.keys.jobPrefix}delayed`, jobId)).not.toBeNull(),
    );
    await place.client.set(place.keys.payloadPrefix + jobId, chunkOf('e', goodBody));
    const job = place.keys.jobPrefix + jobId;
    await vi.waitFor(async () => expect(await place.client.exists(job)).toBe(0), 15_000);
    expect((await failedJobs(place)).size).toBe(0);
    const { rows } = await place.pool.query(`SELECT count(*)::int AS count FROM ${place.schema}.checkpoints`);
    expect(rows).toEqual([{ count: 1 }]);
  });

  it('is kept with its payload', async () => {
    const place = await testPlace();
    const payload = chunkOf('e', Buffer.from('no checkpoint'));
    const jobId = await forgeJob(place, { payload });
    await startWriter(place);
    await vi.waitFor(async () => expect([...(await failedJobs(place)).keys()]).toEqual([jobId]));
    expect(await place.client.getBuffer(place.keys.payloadPrefix + jobId)).toEqual(payload);
  });
});
