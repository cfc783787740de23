import { Queue } from 'bullmq';
import { describe, expect, it, onTestFinished } from 'vitest';
import { PostgresCheckpointStore } from '../../src/index.js';
import { readCounters } from '../../src/redis/counters.js';
import { deadLetterKeys } from '../../src/redis/queue-keys.js';
import { newCheckpoint, newExecution } from '../contract/checkpoints.js';
import { poisonablePlace, refusedOne, testLetters } from '../dead-letters/letters.js';
import { startGraphWriter } from '../langgraph/graph-writer.js';
import { graphsOn } from '../langgraph/graphs.js';
import { testSaver, tuplesOf } from '../langgraph/place.js';
import { onThread } from '../langgraph/scenarios.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { forgeJob } from '../writer/forged-jobs.js';
import { OPERATOR_ACTS } from './operator-acts.js';

const LATEST = { consistency: 'latest', timeoutMs: 25_000 } as const;
/** What tells that a read would have to wait. */
const AT_ONCE = { consistency: 'latest', timeoutMs: 1000 } as const;
const PENDING = { code: 'PENDING_WRITES_TIMEOUT' };

const DONE_BY_AN_OPERATOR = Object.entries(OPERATOR_ACTS);

function bullQueue(place: Place, name = place.queue): Queue {
  const queue = new Queue(name, { connection: place.client, prefix: place.keys.prefix });
  onTestFinished(() => queue.close());
  return queue;
}

/** Keys that only pending saves have. */
function pendingKeys({ client, keys }: Place): Promise<number> {
  return client.exists(keys.chunks, keys.marks);
}

describe.each(DONE_BY_AN_OPERATOR)('after %s of the queue by an operator', (_, act) => {
  it('acknowledged saves are pending for reads and receipts until a writer has committed them', async () => {
    const place = await testPlace();
    const store = testStore(place, { maxChunkRecords: 1 });
    await store.initSchema();
    const executionId = newExecution();
    const receipts = await store.saveBatch(
      Array.from({ length: 30 }, (_, step) => newCheckpoint({ executionId, timestamp: new Date(step) })),
    );
    await act(bullQueue(place));
    expect(await bullQueue(place).count()).toBe(0);

    await expect(store.latest(executionId, AT_ONCE)).rejects.toMatchObject({ ...PENDING, pendingJobs: 30 });
    await expect(store.list(executionId, AT_ONCE)).rejects.toMatchObject(PENDING);
    const settled: unknown[] = [];
    const committed = receipts.map((receipt) =>
      receipt.committed().then((outcome) => {
        settled.push(outcome);
      }),
    );
    const flushing = Promise.all([store.flush(), testStore(place).flush(executionId)]);
    expect(settled).toEqual([]);

    await startWriter(place);
    expect((await store.latest(executionId, LATEST))?.id).toBe(receipts.at(-1)?.id);
    await Promise.all([...committed, flushing]);
    expect(settled).toEqual(receipts.map(() => 'committed'));
    expect(await store.list(executionId)).toHaveLength(30);
    await expect.poll(() => pendingKeys(place)).toBe(0);
    expect(await readCounters(place.client, place.keys)).toMatchObject({ requeued: 30 });
  });
});

it('what is removed while a writer works is committed all the same, in any number', {
  timeout: 120_000,
}, async () => {
  const place = await testPlace();
  const store = testStore(place, { maxChunkRecords: 1, enqueueTimeoutMs: 60_000 });
  await startWriter(place, { concurrency: 4 });
  const queue = bullQueue(place);
  const executions = Array.from({ length: 5 }, newExecution);
  let saving = true;
  const operator = (async () => {
    for (let round = 0; saving; round++) await DONE_BY_AN_OPERATOR[round % 4]?.[1](queue).catch(() => {});
  })();
  for (let round = 0; round < 10; round++) {
    await store.saveBatch(
      executions.flatMap((executionId) => many(20, () => newCheckpoint({ executionId }))),
    );
  }
  saving = false;
  await operator;
  await store.flush();
  const lists = await Promise.all(executions.map((executionId) => store.list(executionId)));
  expect(lists.map(({ length }) => length)).toEqual(executions.map(() => 200));
  await expect.poll(() => pendingKeys(place), { timeout: 20_000 }).toBe(0);
});

it('thousands of jobs that are gone come back, past those that are there', { timeout: 120_000 }, async () => {
  const place = await testPlace();
  const store = testStore(place, { maxChunkRecords: 1, enqueueTimeoutMs: 60_000 });
  await store.initSchema();
  const executionId = newExecution();
  for (let round = 0; round < 3; round++) await store.saveBatch(many(800, () => newCheckpoint()));
  const receipts = await store.saveBatch(many(300, () => newCheckpoint({ executionId })));
  const queue = bullQueue(place);
  for (const { sequence } of receipts) await queue.remove(`w-${sequence}`);
  await queue.pause();
  await startWriter(place);
  await expect.poll(() => queue.count(), { timeout: 30_000 }).toBe(2700);
});

it('a replayed dead letter whose job is removed is replayed all the same', async () => {
  const place = await poisonablePlace();
  const { checkpoint, sequence } = await refusedOne(place);
  await place.cure();
  await testLetters(place).replay({ all: true, wait: false });
  await bullQueue(place).obliterate({ force: true });
  const store = testStore(place);
  await expect(store.latest(checkpoint.executionId, AT_ONCE)).rejects.toMatchObject(PENDING);
  await startWriter(place);
  expect((await store.latest(checkpoint.executionId, LATEST))?.id).toBe(checkpoint.id);
  const { rows } = await place.pool.query(`SELECT write_seq FROM ${place.schema}.checkpoints`);
  expect(rows).toEqual([{ write_seq: String(sequence) }]);
});

it('a delete that came before the jobs were added anew is kept', async () => {
  const place = await testPlace();
  const store = testStore(place);
  await store.initSchema();
  const [one, other] = [newCheckpoint(), newCheckpoint()];
  const receipts = [await store.save(one), await store.save(other)];
  await bullQueue(place).drain();
  await store.delete(one.id);
  await startWriter(place);
  expect(await Promise.all(receipts.map((receipt) => receipt.committed()))).toEqual(['deleted', 'committed']);
  expect(await store.list(one.executionId)).toEqual([]);
});

it('a save whose payload is gone too is told as lost, and nobody waits for it', async () => {
  const place = await testPlace();
  const store = testStore(place);
  await store.initSchema();
  const { executionId } = newCheckpoint();
  const receipt = await store.save(newCheckpoint({ executionId }));
  await bullQueue(place).obliterate({ force: true });
  await place.client.unlink(await place.client.keys(`${place.keys.payloadPrefix}*`));
  await expect(receipt.committed()).rejects.toMatchObject({ code: 'SAVE_LOST' });
  expect(await store.latest(executionId, AT_ONCE)).toBeUndefined();
  await store.flush();
});

it('what a thread of LangGraph has put is read when a writer has committed it', async () => {
  const place = await testPlace();
  const saver = testSaver(place, { readTimeoutMs: 25_000 });
  const config = onThread('t');
  // Nobody commits it yet: the graph reads nothing on its way.
  await graphsOn(testSaver(place, { consistency: 'committed' })).talk.invoke({ turn: 1 }, config);
  await bullQueue(place).obliterate({ force: true });
  await expect(testSaver(place, { readTimeoutMs: 1000 }).getTuple(config)).rejects.toMatchObject(PENDING);
  await startGraphWriter(place);
  expect(await tuplesOf(saver, 't')).toHaveLength(4);
});

it('what an earlier release has left, whose marks do not say what it is for, comes back too', async () => {
  const place = await testPlace();
  const store = testStore(place);
  await store.initSchema();
  const checkpoint = newCheckpoint();
  const receipt = await store.save(checkpoint);
  const jobId = `w-${receipt.sequence}`;
  await place.client.del(place.keys.marks);
  await place.client.zadd(place.keys.marks, 0, `${checkpoint.executionId}\0${jobId}`);
  await bullQueue(place).obliterate({ force: true });
  await startWriter(place);
  expect((await store.latest(checkpoint.executionId, LATEST))?.id).toBe(checkpoint.id);
  await expect.poll(() => pendingKeys(place)).toBe(0);
});

it('a chunk that nobody can read is put among the failed jobs and not thrown away', async () => {
  const place = await testPlace();
  const jobId = await forgeJob(place, { payload: Buffer.from('garbage') });
  await place.client.zadd(place.keys.chunks, 1, jobId);
  await bullQueue(place).obliterate({ force: true });
  await startWriter(place);
  await expect.poll(() => place.client.zscore(place.keys.failed, jobId), { timeout: 15_000 }).not.toBeNull();
  expect(await place.client.getBuffer(place.keys.payloadPrefix + jobId)).toEqual(Buffer.from('garbage'));
});

describe('after an operator has obliterated the queue of the dead letters', () => {
  async function obliterated() {
    const place = await poisonablePlace();
    const { checkpoint, sequence, deadLetterId } = await refusedOne(place);
    await bullQueue(place, deadLetterKeys(place.keys).queue).obliterate({ force: true });
    return { place, checkpoint, sequence, deadLetterId };
  }

  it('the save still counts as refused', async () => {
    const { place, checkpoint, deadLetterId } = await obliterated();
    const store = testStore(place);
    const told = { code: 'DEAD_LETTERED', deadLetterId, id: checkpoint.id };
    await expect(store.latest(checkpoint.executionId, AT_ONCE)).rejects.toMatchObject(told);
    await expect(store.flush(checkpoint.executionId)).rejects.toMatchObject({ errors: [told] });
  });

  it('a writer makes the dead letter anew, without its reason, and it can be replayed', async () => {
    const { place, checkpoint, sequence, deadLetterId } = await obliterated();
    await startWriter(place);
    const letters = testLetters(place);
    await expect.poll(() => letters.get(deadLetterId), { timeout: 15_000 }).toBeDefined();
    expect(await letters.get(deadLetterId, { payload: true })).toMatchObject({
      ...{ id: checkpoint.id, executionId: checkpoint.executionId, sequence, replays: 0, sqlState: null },
      ...{ sink: 'checkpoints', target: `${place.schema}.checkpoints` },
      reason: expect.stringMatching(/^not known/),
      payload: { kind: 'checkpoint' },
    });
    await place.cure();
    expect(await letters.replay({ all: true })).toMatchObject({ replayed: 1, committed: 1 });
    expect((await testStore(place).load(checkpoint.id)).state).toEqual({ poison: 1 });
  });

  it('one that was purged before is not made anew', async () => {
    const place = await poisonablePlace();
    await refusedOne(place);
    const { deadLetterId } = await refusedOne(place);
    const letters = testLetters(place);
    await letters.purge({ ids: [deadLetterId] });
    await bullQueue(place, deadLetterKeys(place.keys).queue).obliterate({ force: true });
    await startWriter(place);
    await expect.poll(async () => (await letters.list()).length, { timeout: 15_000 }).toBe(1);
    expect(await letters.get(deadLetterId)).toBeUndefined();
  });
});

it('a producer that adds its job late, when a worker has done it by then, leaves nothing behind', async () => {
  const place = await testPlace();
  const plain = new PostgresCheckpointStore({ postgres: place.postgres, schema: place.schema });
  onTestFinished(() => plain.close());
  await plain.initSchema();
  const store = testStore(place);
  const queue = bullQueue(place);
  const checkpoint = newCheckpoint();
  // Held between the reservation and the addition.
  const add = Queue.prototype.add;
  let held = false;
  Queue.prototype.add = async function late(this: Queue, ...args: Parameters<Queue['add']>) {
    if (this.name === place.queue && !held) {
      held = true;
      await startWriter(place);
      await expect.poll(() => pendingKeys(place), { timeout: 15_000 }).toBe(0);
    }
    return add.apply(this, args) as never;
  } as Queue['add'];
  onTestFinished(() => {
    Queue.prototype.add = add;
  });
  const slow = testStore(place, { enqueueTimeoutMs: 30_000 });
  const receipt = await slow.save(checkpoint);
  expect(['committed', 'superseded']).toContain(await receipt.committed());
  expect((await store.latest(checkpoint.executionId, LATEST))?.id).toBe(checkpoint.id);
  await expect.poll(() => pendingKeys(place), { timeout: 15_000 }).toBe(0);
  expect(await queue.getFailedCount()).toBe(0);
});

function many<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}
