import { describe, expect, it, onTestFinished } from 'vitest';
import type { EncodableRecord } from '../../src/chunk.js';
import { type DeadLetterJob, DeadLetterQueue } from '../../src/redis/dead-letter-queue.js';
import { confirmReplay, newReplay, prepareReplay } from '../../src/redis/dead-letter-scripts.js';
import { deadLetterKeys } from '../../src/redis/queue-keys.js';
import { poisonablePlace, refusedOne, testLetters } from '../dead-letters/letters.js';
import { type Place, startWriter } from '../store/place.js';

/** Adds a dead letter as a worker does that runs its job again. */
async function addAgain(place: Place, deadLetterId: string): Promise<() => Promise<string | undefined>> {
  const queue = new DeadLetterQueue(place.client, place.keys, () => {});
  onTestFinished(() => queue.close());
  const letter = await queue.queue.getJob(deadLetterId);
  const record: EncodableRecord = { executionId: 'any', byteLength: 1, writeTo: () => {} };
  return () => queue.add(letter?.data as DeadLetterJob, record);
}

async function lettersOf(place: Place): Promise<string[]> {
  return (await testLetters(place).list()).map(({ deadLetterId }) => deadLetterId);
}

describe('a dead letter that is added again, because its job runs again', () => {
  it('is one still, while nobody has replayed it', async () => {
    const place = await poisonablePlace();
    const { deadLetterId } = await refusedOne(place);
    expect(await (await addAgain(place, deadLetterId))()).toBe(deadLetterId);
    expect(await lettersOf(place)).toEqual([deadLetterId]);
  });

  it('does not come back beside the job that replays it', async () => {
    const place = await poisonablePlace();
    const { deadLetterId } = await refusedOne(place);
    const add = await addAgain(place, deadLetterId);
    await testLetters(place).replay({ ids: [deadLetterId], wait: false });
    expect(await add()).toBeUndefined();
    expect(await place.client.exists(...indexes(place))).toBe(0);
  });

  it('does not come back beside the dead letter that it has become', async () => {
    const place = await poisonablePlace();
    const { deadLetterId } = await refusedOne(place);
    const add = await addAgain(place, deadLetterId);
    await startWriter(place);
    await testLetters(place).replay({ ids: [deadLetterId] });
    expect(await add()).toBeUndefined();
    expect(await lettersOf(place)).toEqual([`${deadLetterId}-1`]);
  });

  it('stays where the job that replays it was put aside as failed', async () => {
    const place = await poisonablePlace();
    const { sequence, deadLetterId } = await refusedOne(place);
    const add = await addAgain(place, deadLetterId);
    await testLetters(place).replay({ ids: [deadLetterId], wait: false });
    const { client, keys } = place;
    await client.lrem(keys.waiting, 0, `r-${sequence}-1`);
    await client.zadd(keys.failed, 1, `r-${sequence}-1`);
    expect(await add()).toBe(deadLetterId);
    expect(await lettersOf(place)).toEqual([deadLetterId]);
  });

  it('stays where a replay of it broke off before it had a job', async () => {
    const place = await poisonablePlace();
    const { deadLetterId } = await refusedOne(place);
    const letter = await testLetters(place).get(deadLetterId);
    const add = await addAgain(place, deadLetterId);
    const job = { ...letter, target: 'any', sink: 'any', bytes: 1, records: 1 } as unknown as DeadLetterJob;
    expect(await prepareReplay(place.client, place.keys, newReplay(job), 0)).toBe('prepared');
    expect(await add()).toBe(deadLetterId);
    expect(await lettersOf(place)).toEqual([deadLetterId]);
  });
});

describe('a record that is refused in a replay which broke off', () => {
  it('has one dead letter, and the replay, if it goes on, sees it as done', async () => {
    const place = await poisonablePlace();
    const { deadLetterId } = await refusedOne(place);
    const queue = new DeadLetterQueue(place.client, place.keys, () => {});
    onTestFinished(() => queue.close());
    const letter = (await queue.queue.getJob(deadLetterId))?.data as DeadLetterJob;
    const replay = newReplay(letter);
    await prepareReplay(place.client, place.keys, replay, 0);
    const record: EncodableRecord = { executionId: 'any', byteLength: 1, writeTo: () => {} };
    expect(await queue.add({ ...letter, replays: 1 }, record)).toBe(`${deadLetterId}-1`);
    expect(await lettersOf(place)).toEqual([`${deadLetterId}-1`]);
    expect(await confirmReplay(place.client, place.keys, replay)).toBe('removed');
  });
});

function indexes({ keys }: Place): string[] {
  const dead = deadLetterKeys(keys);
  return [dead.chunks, dead.marks];
}
