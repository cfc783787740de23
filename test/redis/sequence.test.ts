import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished } from 'vitest';
import { markOf } from '../../src/redis/queue-keys.js';
import { Script } from '../../src/redis/script.js';
import { nextSequence, raiseSequence, release, reserve } from '../../src/redis/sequence.js';
import { type Place, testPlace } from '../store/place.js';

const MINUTE_US = 60_000_000;
const payload = Buffer.from([1, 0, 255]);

function reservation(fields: { records?: number; executions?: string[]; maxQueueDepth?: number } = {}) {
  return { records: 1, executions: ['e'], maxQueueDepth: 0, payload, ...fields };
}

async function reserved(place: Place, ...options: Parameters<typeof reservation>): Promise<number> {
  const reply = await reserve(place.client, place.keys, reservation(...options));
  if (reply.kind !== 'reserved') throw new Error(reply.kind);
  return reply.firstSequence;
}

async function redisTime(place: Place): Promise<number> {
  const [seconds, micros] = await place.client.time();
  return Number(seconds) * 1e6 + Number(micros);
}

describe('a reservation that the client sends again without its payload', () => {
  const KEY = { token: 'token', forMs: 60_000 };

  /** What `reserve` sends, but for the payload: a client of the application sends again what got no reply, and not the rest. */
  async function resent(place: Place, ...job: [] | [{ jobId: string; firstSequence: number }]) {
    const withoutPayload = Object.assign(Object.create(place.client), { set: async () => 'OK' });
    return reserve(withoutPayload, place.keys, { ...reservation(), retry: KEY }, ...job);
  }

  it('has the sequence of the first run, also after the chunk was cleaned up', async () => {
    const place = await testPlace();
    const first = await reserve(place.client, place.keys, { ...reservation(), retry: KEY });
    expect(await resent(place)).toEqual(first);
    expect(await place.client.zcard(place.keys.chunks)).toBe(1);
    const { firstSequence } = first as { firstSequence: number };
    await release(place.client, place.keys, [`w-${firstSequence}`], []);
    expect(await resent(place)).toEqual(first);
    expect(await place.client.zcard(place.keys.chunks)).toBe(0);
  });

  it('is taken for a job that has its payload, and fails before anything is written where there is none', async () => {
    const place = await testPlace();
    const job = { jobId: 'd-1', firstSequence: 1 };
    await expect(resent(place, job)).rejects.toThrow('the payload did not arrive');
    await expect(resent(place)).rejects.toThrow('the payload did not arrive');
    expect(await place.client.keys(`${place.keys.jobPrefix}*`)).toEqual([]);
    await reserve(place.client, place.keys, reservation(), job);
    expect(await resent(place, job)).toEqual({ kind: 'reserved', firstSequence: 1 });
  });
});

describe('a reservation after the time at which its producer gave up', () => {
  const KEY = { token: 'token', forMs: 60_000 };

  it('is refused, says what time it is, and leaves nothing', async () => {
    const place = await testPlace();
    const now = await redisTime(place);
    const late = await reserve(place.client, place.keys, { ...reservation(), notAfterUs: now });
    expect(late).toEqual({ kind: 'late', redisTimeUs: expect.any(Number) });
    expect((late as { redisTimeUs: number }).redisTimeUs).toBeGreaterThan(now);
    expect(await place.client.keys(`${place.keys.jobPrefix}*`)).toEqual([]);
  });

  it('keeps the sequence that an earlier try got in time', async () => {
    const place = await testPlace();
    const inTime = { ...reservation(), retry: KEY, notAfterUs: (await redisTime(place)) + MINUTE_US };
    const first = await reserve(place.client, place.keys, inTime);
    expect(first.kind).toBe('reserved');
    expect(await reserve(place.client, place.keys, { ...inTime, notAfterUs: 1 })).toEqual(first);
  });
});

describe('sequence', () => {
  it('is the time of Redis in microseconds', async () => {
    const place = await testPlace();
    const before = await redisTime(place);
    const sequence = await nextSequence(place.client, place.keys);
    expect(sequence).toBeGreaterThanOrEqual(before);
    expect(sequence).toBeLessThanOrEqual(await redisTime(place));
  });

  it('rises from call to call, whoever calls', async () => {
    const place = await testPlace();
    const other = new Redis(place.redis);
    onTestFinished(() => other.disconnect());
    const drawn: number[] = [];
    for (let i = 0; i < 50; i++) drawn.push(await nextSequence(i % 2 ? place.client : other, place.keys));
    expect([...drawn].sort((a, b) => a - b)).toEqual(drawn);
    const atOnce = await Promise.all(
      Array.from({ length: 300 }, (_, i) => nextSequence(i % 2 ? place.client : other, place.keys)),
    );
    expect(new Set([...drawn, ...atOnce]).size).toBe(350);
  });

  it('gives a chunk as many numbers as it has records', async () => {
    const place = await testPlace();
    const ahead = (await redisTime(place)) + MINUTE_US;
    await raiseSequence(place.client, place.keys, ahead);
    expect(await reserved(place, { records: 200 })).toBe(ahead + 1);
    expect(await reserved(place)).toBe(ahead + 201);
    expect(await nextSequence(place.client, place.keys)).toBe(ahead + 202);
  });

  it('goes on with the time, above all former ones, when Redis has lost it', async () => {
    const place = await testPlace();
    const former = await reserved(place, { records: 3 });
    await place.client.del(place.keys.sequence);
    const now = await redisTime(place);
    const sequence = await reserved(place);
    expect(sequence).toBeGreaterThan(former + 2);
    expect(sequence).toBeGreaterThanOrEqual(now);
  });

  it('is above what the caller has seen from a clock that is ahead', async () => {
    const place = await testPlace();
    const ahead = (await redisTime(place)) + MINUTE_US;
    expect(await nextSequence(place.client, place.keys, ahead)).toBe(ahead + 1);
    const reply = await reserve(place.client, place.keys, { ...reservation(), above: ahead + 10 });
    expect(reply).toEqual({ kind: 'reserved', firstSequence: ahead + 11 });
  });

  it('is raised and never lowered', async () => {
    const place = await testPlace();
    const ahead = (await redisTime(place)) + MINUTE_US;
    await raiseSequence(place.client, place.keys, ahead);
    await raiseSequence(place.client, place.keys, ahead - 10);
    expect(await nextSequence(place.client, place.keys)).toBe(ahead + 1);
  });
});

describe('reserve', () => {
  it('keeps payload, chunk and one mark for each execution', async () => {
    const place = await testPlace();
    const first = await reserved(place, { records: 2, executions: ['a b', 'c:é'] });
    const jobId = `w-${first}`;
    expect(await place.client.getBuffer(place.keys.payloadPrefix + jobId)).toEqual(payload);
    expect(await place.client.zscore(place.keys.chunks, jobId)).toBe(String(first));
    const marks = await place.client.zrange(place.keys.marks, 0, '-1');
    expect(marks).toEqual([markOf('a b', jobId), markOf('c:é', jobId)]);
  });

  it('restores all of it at a second try for the same sequence, and draws no new one', async () => {
    const place = await testPlace();
    const first = await reserved(place);
    const { payloadPrefix, marks, chunks, sequence } = place.keys;
    const drawn = await place.client.get(sequence);
    await place.client.del(`${payloadPrefix}w-${first}`, marks, chunks);
    const again = { jobId: `w-${first}`, firstSequence: first };
    expect(await reserve(place.client, place.keys, reservation(), again)).toEqual({
      kind: 'reserved',
      firstSequence: first,
    });
    expect(await place.client.getBuffer(`${payloadPrefix}w-${first}`)).toEqual(payload);
    expect(await place.client.zrange(chunks, 0, '-1')).toEqual([`w-${first}`]);
    expect(await place.client.zrange(marks, 0, '-1')).toEqual([markOf('e', `w-${first}`)]);
    expect(await place.client.get(sequence)).toBe(drawn);
  });

  it('takes the executions of the largest chunk', async () => {
    const place = await testPlace();
    const executions = Array.from({ length: 1000 }, (_, i) => `execution ${i}`);
    const first = await reserved(place, { records: 1000, executions });
    expect(await place.client.zcard(place.keys.marks)).toBe(1000);
    const marks = executions.map((id) => markOf(id, `w-${first}`));
    await release(place.client, place.keys, [`w-${first}`], marks);
    expect(await place.client.exists(place.keys.marks, place.keys.chunks)).toBe(0);
  });

  it('leaves nothing and says how many jobs wait where the queue is full; a second try is not refused', async () => {
    const place = await testPlace();
    await place.client.rpush(place.keys.waiting, 'one', 'two');
    expect(await reserve(place.client, place.keys, reservation({ maxQueueDepth: 2 }))).toEqual({
      kind: 'full',
      depth: 2,
    });
    expect(await place.client.keys(`${place.keys.jobPrefix}ckpt-*`)).toEqual([]);
    expect(await reserved(place, { maxQueueDepth: 3 })).toBeGreaterThan(0);
    const job = { jobId: 'w-7', firstSequence: 7 };
    const again = await reserve(place.client, place.keys, reservation({ maxQueueDepth: 2 }), job);
    expect(again).toEqual({ kind: 'reserved', firstSequence: 7 });
  });
});

describe('release', () => {
  it('leaves a job alone that is there again, because its producer did not get the reply', async () => {
    const place = await testPlace();
    const jobId = `w-${await reserved(place)}`;
    await place.client.hset(place.keys.jobPrefix + jobId, 'name', 'chunk');
    await release(place.client, place.keys, [jobId], [markOf('e', jobId)]);
    const { chunks, marks, payloadPrefix } = place.keys;
    expect(await place.client.exists(payloadPrefix + jobId, chunks, marks)).toBe(3);
  });

  it('removes what belongs to the jobs and leaves the others', async () => {
    const place = await testPlace();
    const [gone, kept] = [await reserved(place), await reserved(place)];
    await release(place.client, place.keys, [`w-${gone}`], [markOf('e', `w-${gone}`)]);
    const { payloadPrefix, chunks, marks } = place.keys;
    expect(await place.client.exists(`${payloadPrefix}w-${gone}`)).toBe(0);
    expect(await place.client.exists(`${payloadPrefix}w-${kept}`)).toBe(1);
    expect(await place.client.zrange(chunks, 0, '-1')).toEqual([`w-${kept}`]);
    expect(await place.client.zrange(marks, 0, '-1')).toEqual([markOf('e', `w-${kept}`)]);
  });

  it('takes more marks than one call of Lua', async () => {
    const place = await testPlace();
    const marks = Array.from({ length: 12_000 }, (_, i) => markOf(`e${i}`, 'w-1'));
    await place.client.zadd(place.keys.marks, ...marks.flatMap((mark) => [0, mark]));
    await release(place.client, place.keys, ['w-1'], marks);
    expect(await place.client.exists(place.keys.marks)).toBe(0);
  });
});

it('a script runs on a Redis that has not seen it yet, and on one that has', async () => {
  const { client, queue } = await testPlace();
  const script = new Script(`return '${queue}'`);
  expect(await script.run(client, [], [])).toBe(queue);
  expect(await script.run(client, [], [])).toBe(queue);
});
