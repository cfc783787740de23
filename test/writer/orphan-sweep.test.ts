import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeChunk, jobIdOf } from '../../src/chunk.js';
import { type QueueKeys, queueKeys } from '../../src/redis/queue-keys.js';
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
  sweep = new OrphanSweep(client, keys, (error) => {
    throw error;
  });
});

afterEach(async () => {
  await queue.obliterate({ force: true });
  await queue.close();
  await client.del(keys.sequence, keys.chunks, keys.marks);
  client.disconnect();
});

test('a chunk whose producer died before it added the job is removed, with its payload and marks', async () => {
  const jobId = await reservedChunk(['run-1', 'run-2']);

  expect(await sweep.sweep(0)).toBe(1);

  expect(await client.exists(keys.payloadPrefix + jobId, keys.chunks, keys.marks)).toBe(0);
});

test('a chunk with a job is left alone, however old', async () => {
  const jobId = await reservedChunk(['run-1']);
  await queue.add('chunk', {}, { jobId });

  expect(await sweep.sweep(0)).toBe(0);

  expect(await client.exists(keys.payloadPrefix + jobId, keys.chunks, keys.marks)).toBe(3);
});

test('a chunk that was just reserved is left alone: its job may be on the way', async () => {
  await reservedChunk(['run-1']);

  expect(await sweep.sweep()).toBe(0);
  expect(await client.zcard(keys.chunks)).toBe(1);
});

async function reservedChunk(executions: string[]): Promise<string> {
  const payload = encodeChunk(executions, []);
  const reserved = await reserve(client, keys, { records: 1, payload, executions, maxQueueDepth: 0 });
  if (reserved.kind === 'full') throw new Error('the queue of a new test cannot be full');
  return jobIdOf(reserved.firstSequence);
}
