import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { deadLetterKeys } from '../../src/redis/queue-keys.js';
import { poisonablePlace, refused, testLetters } from '../dead-letters/letters.js';
import { Redelivery } from '../model/redelivery.js';
import { patient } from '../patience.js';
import { type Place, startWriter, testPlace, testStore, testWriter } from '../store/place.js';
import { HeldCommits } from '../writer/held-commit.js';
import { daily, saveLongAgo, storedIds, tombstones } from './rows.js';

let place: Place;
beforeEach(async () => {
  place = await testPlace();
  await testStore(place).initSchema();
});

it('what was saved lately does not come back where its job is delivered once more', async () => {
  const redelivery = new Redelivery(place.redis, place.keys, `${place.schema}.checkpoints`);
  onTestFinished(() => redelivery.close());
  const writer = await startWriter(place, { redis: redelivery.redis });
  const store = testStore(place);
  await store.saveBatch(daily('a', 5), { ack: 'committed' });
  const jobIds = redelivery.jobsOf('a');
  for (const jobId of jobIds) await redelivery.gone(jobId);
  expect(await store.prune({ keepLast: 2 })).toMatchObject({ pruned: 3, heldBack: 0 });
  for (const jobId of jobIds) expect(await redelivery.again(jobId)).toBe(true);
  for (const jobId of jobIds) await redelivery.gone(jobId);
  expect(await storedIds(place)).toEqual(['a:4', 'a:5']);
  expect(writer.stats).toMatchObject({ committed: 5, deleted: 3 });
});

it('what is committed stays while its job is not done, and goes later', async () => {
  const store = testStore(place);
  const writer = testWriter(place);
  await store.saveBatch(daily('a', 5));
  await store.saveBatch(daily('b', 3));
  await writer.start();
  await store.flush();
  await writer.close();
  await saveLongAgo(place);
  // As a worker leaves it that dies between COMMIT and the end of its job.
  const { rows } = await place.pool.query(
    `SELECT min(write_seq)::text AS sequence FROM ${place.schema}.checkpoints WHERE execution_id = 'a'`,
  );
  const jobId = `w-${rows[0].sequence}`;
  await place.client.zadd(place.keys.chunks, rows[0].sequence, jobId);
  await place.client.zadd(place.keys.marks, 0, `a\0${jobId}`);
  expect(await store.prune({ keepLast: 1, dryRun: true })).toMatchObject({ pruned: 2, heldBack: 4 });
  expect(await store.prune({ keepLast: 1 })).toMatchObject({ pruned: 2, heldBack: 4 });
  expect(await storedIds(place)).toEqual(['a:1', 'a:2', 'a:3', 'a:4', 'a:5', 'b:3']);
  await place.client.zrem(place.keys.chunks, jobId);
  expect(await store.prune({ keepLast: 1 })).toMatchObject({ pruned: 4, heldBack: 0 });
});

it('a row that a batch under way has merged is left to it', async () => {
  const held = new HeldCommits({ connectionString: place.postgres });
  const store = testStore(place);
  const first = await startWriter(place);
  await store.saveBatch(daily('a', 4), { ack: 'committed' });
  await first.close();
  await saveLongAgo(place);
  await startWriter(place, { postgres: held });
  await store.save({ id: 'a:1', executionId: 'a', nodeName: '', state: 'anew', version: 2 });
  await held.stands();
  expect(await store.prune({ keepLast: 2 })).toMatchObject({ pruned: 1 });
  held.letGo();
  await store.flush();
  expect(await storedIds(place)).toEqual(['a:3', 'a:4', 'a:1']);
});

it('what a dead letter could bring back stays until that is replayed or purged; other executions go', async () => {
  const poisoned = await poisonablePlace();
  const store = testStore(poisoned);
  await refused(poisoned, [{ id: 'a:2', executionId: 'a', state: { poison: 1 }, timestamp: new Date(1) }]);
  const writer = await startWriter(poisoned);
  // The dead letter is older than these rows: replayed, it would be a:2 again, if a:2 were gone.
  await store.saveBatch([...daily('a', 4), ...daily('b', 4)], { ack: 'committed' });
  await writer.close();
  await expect.poll(() => poisoned.client.zcard(poisoned.keys.chunks)).toBe(0);
  expect(await store.prune({ keepLast: 1 })).toMatchObject({ pruned: 3, heldBack: 3 });
  await poisoned.cure();
  await startWriter(poisoned);
  expect(await testLetters(poisoned).replay({ all: true })).toMatchObject({ superseded: 1 });
  await expect.poll(() => poisoned.client.zcard(poisoned.keys.chunks)).toBe(0);
  expect(await poisoned.client.zcard(deadLetterKeys(poisoned.keys).chunks)).toBe(0);
  expect(await store.prune({ keepLast: 1 })).toMatchObject({ pruned: 3, heldBack: 0 });
  expect(await storedIds(poisoned)).toEqual(['a:4', 'b:4']);
});

it('a row that a clock ahead of Redis has numbered stays, for its tombstone would stop later saves', async () => {
  const store = testStore(place);
  await startWriter(place);
  await store.saveBatch(daily('a', 3), { ack: 'committed' });
  await expect.poll(() => place.client.zcard(place.keys.chunks)).toBe(0);
  await place.pool.query(
    `UPDATE ${place.schema}.checkpoints SET write_seq = write_seq + 3600000000 WHERE id = 'a:1'`,
  );
  expect(await store.prune({ keepLast: 1 })).toMatchObject({ pruned: 1, heldBack: 1 });
  expect(await tombstones(place)).toBe(1);
});

it('writers go on meanwhile: nothing is lost, and the newest of each execution stay', {
  timeout: 120_000,
}, async () => {
  await startWriter(place);
  const store = testStore(place);
  const executions = ['a', 'b', 'c', 'd'];
  await store.saveBatch(executions.flatMap((id) => daily(id, 1500)));
  await store.flush();
  const counts = new Map(executions.map((id) => [id, 1500]));
  let saving = true;
  const saver = async (executionId: string) => {
    while (saving) {
      const number = (counts.get(executionId) as number) + 1;
      counts.set(executionId, number);
      await store.save({ id: `${executionId}:${number}`, executionId, nodeName: '', state: number });
    }
  };
  const savers = executions.map(saver);
  const waits: number[] = [];
  let pruned = 0;
  for (let round = 0; round < 5; round++) {
    pruned += (await store.prune({ keepLast: 100 })).pruned;
    const began = performance.now();
    await store.save(
      { id: `probe:${round}`, executionId: 'probe', nodeName: '', state: round },
      { ack: 'committed' },
    );
    waits.push(performance.now() - began);
  }
  saving = false;
  await Promise.all(savers);
  await store.flush();
  expect(Math.max(...waits)).toBeLessThan(patient(5_000));
  await expect.poll(() => place.client.zcard(place.keys.chunks)).toBe(0);
  pruned += (await store.prune({ keepLast: 100 })).pruned;
  const saved = [...counts.values()].reduce((sum, count) => sum + count, 0);
  expect(pruned).toBe(saved - 400);
  for (const [executionId, count] of counts) {
    const newest = Array.from({ length: 100 }, (_, index) => `${executionId}:${count - 99 + index}`);
    expect((await store.list(executionId)).map(({ id }) => id)).toEqual(newest);
  }
});
