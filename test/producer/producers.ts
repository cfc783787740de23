import { onTestFinished } from 'vitest';
import { serializeCheckpoint } from '../../src/checkpoint.js';
import { type DecodedChunk, decodeChunk } from '../../src/chunk.js';
import { DEFAULT_LIMITS, type ProducerLimits } from '../../src/producer/limits.js';
import { Producer } from '../../src/producer/producer.js';
import { RedisConnection, type RedisOption } from '../../src/redis/connection.js';
import { CheckpointRow } from '../../src/writer/checkpoint-row.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import type { Place } from '../store/place.js';

/** A producer of the place's checkpoint table that goes with the test. */
export function testProducer(
  place: Place,
  limits: Partial<ProducerLimits> = {},
  redis: RedisOption = place.redis,
): Producer {
  const connection = new RedisConnection(redis, place.keys, 'commands');
  const producer = new Producer({
    ...DEFAULT_LIMITS,
    ...limits,
    connection,
    keys: place.keys,
    sink: 'checkpoints',
    target: `${place.schema}.checkpoints`,
  });
  onTestFinished(async () => {
    await producer.close();
    connection.close();
  });
  return producer;
}

/** A record whose state is so many characters long. */
export function newRecord(characters = 0): CheckpointRow {
  return new CheckpointRow(serializeCheckpoint(newCheckpoint({ state: 'x'.repeat(characters) })));
}

/** The job ids that wait in the queue, oldest first. */
export async function waitingJobs({ client, keys }: Place): Promise<string[]> {
  return (await client.lrange(keys.waiting, 0, -1)).reverse();
}

/** The chunks of the jobs that wait, oldest first. */
export async function waitingChunks(place: Place): Promise<DecodedChunk[]> {
  const jobIds = await waitingJobs(place);
  return Promise.all(
    jobIds.map(async (jobId) => {
      const payload = await place.client.getBuffer(place.keys.payloadPrefix + jobId);
      return decodeChunk(payload as Buffer);
    }),
  );
}

/** How many records each waiting chunk has, oldest first. */
export async function waitingSizes(place: Place): Promise<number[]> {
  return (await waitingChunks(place)).map(({ bodies }) => bodies.length);
}
