import { Queue } from 'bullmq';
import { encodeChunk } from '../../src/chunk.js';
import { type DeadLetterJob, deadLettersBySequence } from '../../src/redis/dead-letter-queue.js';
import { jobOptions } from '../../src/redis/job-options.js';
import { nextSequence } from '../../src/redis/sequence.js';
import type { Place } from '../store/place.js';

export interface ForgedJob {
  /** Default: one that a producer could have given. */
  jobId?: string;
  /** Default: that of a chunk for the place's checkpoint table. */
  data?: unknown;
  /** Default: no payload key at all. */
  payload?: Buffer;
  /** Whether the index of chunks knows the job. Default false. */
  indexed?: boolean;
}

/** Puts a job into the queue that no producer of ours made. @returns its id */
export async function forgeJob(place: Place, { jobId, data, payload, indexed }: ForgedJob): Promise<string> {
  const id = jobId ?? `w-${await nextSequence(place.client, place.keys)}`;
  const ours = { sink: 'checkpoints', target: `${place.schema}.checkpoints`, records: 1, bytes: 1 };
  if (payload) await place.client.set(place.keys.payloadPrefix + id, payload);
  if (indexed) await place.client.zadd(place.keys.chunks, 1, id);
  const queue = new Queue(place.queue, { connection: place.client, prefix: place.keys.prefix });
  try {
    await queue.add('chunk', data === undefined ? ours : data, jobOptions(id));
  } finally {
    await queue.close();
  }
  return id;
}

/** A chunk of these bodies as a producer would frame it. */
export function chunkOf(executionId: string, ...bodies: Buffer[]): Buffer {
  const records = bodies.map((body) => ({
    executionId,
    byteLength: body.length,
    writeTo: (buffer: Buffer, offset: number) => {
      body.copy(buffer, offset);
    },
  }));
  return encodeChunk([executionId], records);
}

/** The jobs that were refused, with their reasons. */
export async function failedJobs({ client, keys }: Place): Promise<Map<string, string>> {
  const jobIds = await client.zrange(keys.failed, 0, '-1');
  const reasons = jobIds.map(async (jobId) => {
    const reason = await client.hget(keys.jobPrefix + jobId, 'failedReason');
    return [jobId, reason ?? ''] as const;
  });
  return new Map(await Promise.all(reasons));
}

/** What the jobs of the dead letters say, in the order of their sequences. */
export async function deadLetters({ client, keys }: Place): Promise<DeadLetterJob[]> {
  const range = { first: 0, last: Number.MAX_SAFE_INTEGER };
  return (await deadLettersBySequence(client, keys, [range])).map(({ job }) => job);
}
