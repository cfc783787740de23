import { setImmediate } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { expect, it, onTestFinished } from 'vitest';
import { queueKeys } from '../../src/redis/queue-keys.js';
import { Replicas } from '../../src/redis/replicas.js';
import { patient } from '../patience.js';
import { services } from '../services.js';

/** For a busy machine. */
const GRACE_MS = 500;
const TOO_FEW = { code: 'QUEUE_UNAVAILABLE', refused: true, message: expect.stringContaining('only 0 of 1') };

/** Of a Redis that has none. */
function missingReplicas(): { client: Redis; replicas: Replicas } {
  const client = new Redis(services().redisUrl);
  onTestFinished(() => client.disconnect());
  return { client, replicas: new Replicas(client, queueKeys({}), 1) };
}

async function msOf(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

it('many who wait at once are all refused in time, and the connection is free then', async () => {
  const { client, replicas } = missingReplicas();
  await client.ping();
  const deadline = performance.now() + 1000;
  // One after the other, as chunks come.
  const waits = [];
  for (let wait = 0; wait < 4; wait++) {
    waits.push(replicas.confirm(deadline).catch((error) => error));
    await setImmediate();
  }
  for (const error of await Promise.all(waits)) expect(error).toMatchObject(TOO_FEW);
  expect(performance.now() - deadline).toBeLessThan(patient(GRACE_MS));
  expect(await msOf(() => client.ping())).toBeLessThan(patient(GRACE_MS));
});

it('what others send over the connection goes on while it waits', async () => {
  const { client, replicas } = missingReplicas();
  await client.ping();
  const waiting = replicas.confirm(performance.now() + 3000).catch((error) => error);
  await setImmediate();
  expect(await msOf(() => client.ping())).toBeLessThan(patient(1000 + GRACE_MS));
  expect(await waiting).toMatchObject(TOO_FEW);
});

// A busy machine may be late all the same.
it('Redis, which is late by a tenth of a second, says how many there are before the deadline', {
  retry: 3,
}, async () => {
  const { client, replicas } = missingReplicas();
  await client.ping();
  for (let wait = 0; wait < 5; wait++) {
    const deadline = performance.now() + 400 + wait * 17;
    await expect(replicas.confirm(deadline)).rejects.toMatchObject(TOO_FEW);
    expect(performance.now()).toBeLessThan(deadline);
  }
});
