import { expect, it, onTestFinished } from 'vitest';
import { Database } from '../../src/postgres/database.js';
import { graphTableNames } from '../../src/postgres/graph-tables.js';
import { tableNames } from '../../src/postgres/identifiers.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { deadLetterKeys } from '../../src/redis/queue-keys.js';
import { anyDamaged, damagedText, SequenceRepair } from '../../src/repair/sequence-repair.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { poisonablePlace, refusedOne, testLetters } from '../dead-letters/letters.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { failedJobs } from '../writer/forged-jobs.js';

const YEAR_US = 365 * 24 * 3600 * 1e6;
const OUT_OF_RANGE = { code: 'SEQUENCE_OUT_OF_RANGE' };

function testRepair(place: Place): SequenceRepair {
  const database = new Database({ connectionString: place.postgres, max: 1 });
  const connection = new RedisConnection(place.redis, place.keys, 'commands');
  const repair = new SequenceRepair({
    connection,
    keys: place.keys,
    database,
    names: tableNames({ schema: place.schema }),
    graph: graphTableNames(`${place.schema}_graph`),
  });
  onTestFinished(async () => {
    await repair.close();
    connection.close();
    await database.close();
  });
  return repair;
}

/** The last sequence as a Redis leaves it whose clock was a year ahead; the old `in_range` would have taken it. */
async function aheadByAYear({ client, keys }: Place): Promise<number> {
  const ahead = Date.now() * 1000 + YEAR_US;
  await client.set(keys.sequence, String(ahead));
  return ahead;
}

it('finds and changes nothing where nothing is damaged', async () => {
  const place = await testPlace();
  await startWriter(place);
  const receipt = await testStore(place).save(newCheckpoint());
  await receipt.committed();
  const repair = testRepair(place);
  expect(anyDamaged(await repair.find())).toBe(false);
  expect(anyDamaged(await repair.mend())).toBe(false);
});

it('mends a last sequence that nothing can be numbered above', async () => {
  const place = await testPlace();
  await startWriter(place);
  const store = testStore(place);
  const repair = testRepair(place);
  for (const damage of ['9007199254740991', 'garbage', String(await aheadByAYear(place))]) {
    await place.client.set(place.keys.sequence, damage);
    await expect(store.save(newCheckpoint())).rejects.toMatchObject(OUT_OF_RANGE);
    await expect(store.clear('any')).rejects.toMatchObject(OUT_OF_RANGE);
    expect(damagedText(await repair.find())).toBe('the last sequence in Redis');
    expect(await repair.mend()).toMatchObject({ lastSequence: true });
    // By the same store: it has seen no damaged number.
    const receipt = await store.save(newCheckpoint());
    expect(await receipt.committed()).toBe('committed');
  }
});

it('mends rows and tombstones: they can be deleted, and later saves are stored', async () => {
  const place = await testPlace();
  await startWriter(place);
  const store = testStore(place);
  const [stored, deleted] = [newCheckpoint(), newCheckpoint()];
  for (const checkpoint of [stored, deleted]) await (await store.save(checkpoint)).committed();
  await store.delete(deleted.id);
  const { schema, pool } = place;
  for (const table of ['checkpoints', 'checkpoints_ids']) {
    await pool
      .query(`UPDATE ${schema}.${table} SET write_seq = 9223372036854775807 WHERE id = $1`, [stored.id])
      .catch((error) => {
        if (table === 'checkpoints') throw error; // only a partitioned table has the other one
      });
  }
  await pool.query(`UPDATE ${schema}.checkpoints_tombstones SET fence = 9007199254740991`);
  const repair = testRepair(place);
  expect(damagedText(await repair.find())).toBe('1 row, 1 tombstone');
  await repair.mend();
  expect(anyDamaged(await repair.find())).toBe(false);
  for (const checkpoint of [stored, deleted]) {
    const receipt = await store.save(checkpoint);
    expect(await receipt.committed()).toBe('committed');
  }
  await store.delete(stored.id);
  expect(await store.list(stored.executionId as string)).toEqual([]);
});

it('queues a chunk anew that workers have set aside, and its saves are committed', async () => {
  const place = await testPlace();
  const store = testStore(place);
  await store.initSchema();
  const checkpoint = newCheckpoint();
  const { sequence } = await store.save(checkpoint);
  const { client, keys } = place;
  // As a Redis whose clock was a year ahead would have numbered it.
  const ahead = sequence + YEAR_US;
  const [from, to] = [`w-${sequence}`, `w-${ahead}`];
  await client.rename(keys.payloadPrefix + from, keys.payloadPrefix + to);
  await client.rename(keys.jobPrefix + from, keys.jobPrefix + to);
  await client.lrem(keys.waiting, 1, from);
  await client.lpush(keys.waiting, to);
  await client.zrem(keys.chunks, from);
  await client.zadd(keys.chunks, ahead, to);
  await client.zrem(keys.marks, `${checkpoint.executionId}\0${from}`);
  await client.zadd(keys.marks, 0, `${checkpoint.executionId}\0${to}`);
  await startWriter(place);
  await expect.poll(async () => [...(await failedJobs(place)).keys()], { timeout: 30_000 }).toEqual([to]);
  const repair = testRepair(place);
  expect(damagedText(await repair.find())).toBe('1 job');
  expect(await repair.mend()).toMatchObject({ jobs: 1 });
  const read = () =>
    store.latest(checkpoint.executionId as string, { consistency: 'latest', timeoutMs: 30_000 });
  expect(await read()).toMatchObject({ id: checkpoint.id });
  expect(await failedJobs(place)).toEqual(new Map());
});

it('numbers a dead letter anew, and its replay is committed', async () => {
  const place = await poisonablePlace();
  const { checkpoint } = await refusedOne(place);
  const letters = testLetters(place);
  const [letter] = await letters.list();
  if (!letter) throw new Error('there is no dead letter');
  const { client, keys } = place;
  const dead = deadLetterKeys(keys);
  const ahead = letter.sequence + YEAR_US;
  const [from, to] = [`d-${letter.sequence}`, `d-${ahead}`];
  const job = JSON.parse((await client.hget(dead.jobPrefix + from, 'data')) as string);
  await client.hset(dead.jobPrefix + from, 'data', JSON.stringify({ ...job, sequence: ahead }));
  await client.rename(dead.jobPrefix + from, dead.jobPrefix + to);
  await client.rename(dead.payloadPrefix + from, dead.payloadPrefix + to);
  await client.zrem(dead.chunks, from);
  await client.zadd(dead.chunks, ahead, to);
  await client.zrem(dead.marks, `${checkpoint.executionId}\0${from}`);
  await client.zadd(dead.marks, 0, `${checkpoint.executionId}\0${to}`);
  await place.cure();
  await startWriter(place);
  expect(await letters.replay({ all: true })).toMatchObject({ replayed: 0, skipped: 1 });
  const repair = testRepair(place);
  expect(damagedText(await repair.find())).toBe('1 dead letter');
  expect(await repair.mend()).toMatchObject({ deadLetters: 1 });
  expect(await letters.replay({ all: true })).toMatchObject({ replayed: 1, committed: 1 });
  expect(await letters.count()).toBe(0);
});

it('leaves a job to the worker that is processing it, and queues its records under a new sequence', async () => {
  const place = await testPlace();
  const { client, keys } = place;
  const store = testStore(place);
  await store.initSchema();
  const ahead = Date.now() * 1000 + YEAR_US;
  const receipt = await store.save(newCheckpoint());
  const [from, to] = [`w-${receipt.sequence}`, `w-${ahead}`];
  await client.rename(keys.payloadPrefix + from, keys.payloadPrefix + to);
  await client.rename(keys.jobPrefix + from, keys.jobPrefix + to);
  await client.del(keys.waiting, keys.chunks);
  await client.zadd(keys.chunks, ahead, to);
  await client.lpush(keys.active, to);
  await client.set(`${keys.jobPrefix}${to}:lock`, 'a worker');

  expect(await testRepair(place).mend()).toMatchObject({ jobs: 0 });
  expect(await client.exists(keys.jobPrefix + to)).toBe(1);
  expect(await client.llen(keys.waiting)).toBe(1);
});
