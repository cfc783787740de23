import { expect, it } from 'vitest';
import { deadLetterKeys, markOf } from '../../src/redis/queue-keys.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { startWriter, testPlace, testStore } from '../store/place.js';
import { leftovers, sweepNow } from './leftovers.js';

const NOTHING = { payloads: 0, chunks: 0, marks: 0, lettersWithoutPayload: 0, unknown: [] };

/** A queue through which a save, a refused save and a delete went. */
async function usedPlace() {
  const place = await testPlace();
  const store = testStore(place);
  await store.initSchema();
  await place.pool.query(`ALTER TABLE ${place.schema}.checkpoints ADD CHECK (NOT state ? 'poison')`);
  const writer = await startWriter(place);
  await store.save(newCheckpoint(), { ack: 'committed' });
  await expect(store.save(newCheckpoint({ state: { poison: 1 } }), { ack: 'committed' })).rejects.toThrow();
  await store.delete(newCheckpoint().id);
  await writer.close();
  return place;
}

it('a drained queue with a dead letter leaves nothing', async () => {
  const { client, keys } = await usedPlace();
  expect(await leftovers(client, keys)).toMatchObject(NOTHING);
});

it('what has no job is found, and swept where it has no payload either', async () => {
  const { client, keys } = await usedPlace();
  const dead = deadLetterKeys(keys);
  await client.set(`${keys.payloadPrefix}w-1`, 'x');
  await client.zadd(keys.chunks, 1, 'w-1');
  await client.zadd(keys.marks, 0, markOf('execution', 'w-1'));
  await client.zadd(keys.chunks, 3, 'w-3');
  await client.zadd(keys.marks, 0, markOf('execution', 'w-3'));
  await client.set(`${dead.payloadPrefix}d-2`, 'x');
  await client.set(`${keys.jobPrefix}of-whom`, 'x');
  const unknown = [`${keys.jobPrefix}of-whom`];
  expect(await leftovers(client, keys)).toMatchObject({
    ...NOTHING,
    payloads: 2,
    chunks: 2,
    marks: 2,
    unknown,
  });
  expect(await sweepNow(client, keys)).toBe(2);
  expect(await leftovers(client, keys)).toMatchObject({
    ...{ ...NOTHING, payloads: 2, chunks: 1, marks: 1, unknown },
    examples: [`${keys.payloadPrefix}w-1`, 'w-1', markOf('execution', 'w-1'), `${dead.payloadPrefix}d-2`],
  });
});

it('a dead letter without its record is found', async () => {
  const { client, keys } = await usedPlace();
  const { payloadPrefix } = deadLetterKeys(keys);
  await client.unlink(await client.keys(`${payloadPrefix}*`));
  expect(await leftovers(client, keys)).toMatchObject({ ...NOTHING, lettersWithoutPayload: 1 });
});
