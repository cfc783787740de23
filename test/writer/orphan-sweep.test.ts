import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeChunk, jobIdOf } from '../../src/chunk.js';
import { deadLetterKeys, markOf, type QueueKeys, queueKeys } from '../../src/redis/queue-keys.js';
import { reserve } from '../../src/redis/sequence.js';
import { OrphanSweep } from '../../src/writer/orphan-sweep.js';
import { services, testQueue } from '../services.js';

let client: Redis;
let keys: QueueKeys;
let queue: Queue;
let sweep: OrphanSweep;

beforeEach(() => {
  client = new Redis(services().redisUrl, { maxRetriesPerRequest: null });
  keys = queueKeys({ queue: testQueue() });
  queue = new Queue(keys.queue, { connection: client });
  sweep = new OrphanSweep(client, keys);
});

afterEach(async () => {
  await queue.obliterate({ force: true });
  await queue.close();
  await client.del(keys.sequence, keys.chunks, keys.marks);
  client.disconnect();
});

test('an index entry and marks whose job and payload are gone are removed', async () => {
  const jobId = await reservedChunk(['run-1', 'run-2']);
  await client.unlink(keys.payloadPrefix + jobId);

  expect(await sweep.sweep(0)).toBe(0);
  expect(await sweep.sweep(0)).toBe(3);

  expect(await client.exists(keys.chunks, keys.marks)).toBe(0);
});

test.each([undefined, { sink: 'checkpoints', target: 'public.checkpoints' }])(
  'a mark whose chunk and job are gone is removed, also one that names no destination',
  async (destination) => {
    await client.zadd(keys.marks, 0, markOf('run-1', 'w-1', destination));
    await sweep.sweep(0);
    expect(await sweep.sweep(0)).toBe(1);
    expect(await client.exists(keys.marks)).toBe(0);
  },
);

test('a payload is never removed, with a job or without one, however old', async () => {
  const jobId = await reservedChunk(['run-1']);
  for (const _ of [1, 2, 3]) expect(await sweep.sweep(0)).toBe(0);
  await queue.add('chunk', {}, { jobId });
  for (const _ of [1, 2, 3]) expect(await sweep.sweep(0)).toBe(0);

  expect(await client.exists(keys.payloadPrefix + jobId, keys.chunks, keys.marks)).toBe(3);
});

test('an entry that gets its payload back between two looks is left alone', async () => {
  const jobId = 'r-1-1';
  await client.zadd(keys.chunks, 1, jobId);
  expect(await sweep.sweep(0)).toBe(0);
  const payload = encodeChunk(['run-1'], []);
  const reservation = { records: 1, payload, executions: ['run-1'], maxQueueDepth: 0 };
  await reserve(client, keys, reservation, { jobId, firstSequence: 1 });

  expect(await sweep.sweep(0)).toBe(0);
  expect(await client.exists(keys.payloadPrefix + jobId, keys.chunks, keys.marks)).toBe(3);
});

test('what was just seen for the first time is left alone', async () => {
  await client.zadd(keys.chunks, 1, 'w-1');
  await client.zadd(keys.marks, 0, markOf('run-1', 'w-1'));

  for (const _ of [1, 2, 3]) expect(await sweep.sweep()).toBe(0);
  expect(await client.exists(keys.chunks, keys.marks)).toBe(2);
});

test('the job of a dead letter that has neither payload nor index entry is removed, and no other one', async () => {
  const dead = deadLetterKeys(keys);
  const letters = new Queue(dead.queue, { connection: client });
  const add = (jobId: string) => letters.add('dead-letter', {}, { jobId, priority: 1 });
  const payload = encodeChunk(['run-1'], []);
  const reservation = { records: 1, payload, executions: ['run-1'], maxQueueDepth: 0 };
  for (const [index, jobId] of ['d-1', 'd-2', 'd-3', 'd-4'].entries()) {
    await reserve(client, dead, reservation, { jobId, firstSequence: index + 1 });
    await add(jobId);
  }
  await client.unlink(`${dead.payloadPrefix}d-2`, `${dead.payloadPrefix}d-4`);
  await client.zrem(dead.chunks, 'd-3', 'd-4');
  await client.del(dead.marks);

  const deadSweep = new OrphanSweep(client, dead);
  expect(await deadSweep.sweep(0)).toBe(0);
  expect(await deadSweep.sweep(0)).toBe(1);

  const left = (await letters.getJobs(['prioritized'])).map(({ id }) => id);
  expect(left.sort()).toEqual(['d-1', 'd-2', 'd-3']);
  await letters.obliterate({ force: true });
  await letters.close();
});

async function reservedChunk(executions: string[]): Promise<string> {
  const payload = encodeChunk(executions, []);
  const reserved = await reserve(client, keys, { records: 1, payload, executions, maxQueueDepth: 0 });
  if (reserved.kind !== 'reserved') throw new Error('the queue of a new test cannot be full');
  return jobIdOf(reserved.firstSequence);
}
