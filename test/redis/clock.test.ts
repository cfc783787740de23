import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { expect, it, onTestFinished } from 'vitest';
import { RedisClock } from '../../src/redis/clock.js';
import { queueKeys } from '../../src/redis/queue-keys.js';
import { services } from '../services.js';

const KEYS = queueKeys({});
const HOUR_US = 3_600_000_000;
const SECOND_US = 1_000_000;

function machineUs(): number {
  return Date.now() * 1000;
}

/** A Redis whose clock is off by so much. */
function redisOff(byUs: number, replyAfterMs = 0): Redis {
  const evaluate = async () => {
    const now = machineUs() + byUs;
    await delay(replyAfterMs);
    return String(now);
  };
  return { eval: evaluate } as unknown as Redis;
}

it('tells the time of Redis, to the millisecond or so', async () => {
  const client = new Redis(services().redisUrl);
  onTestFinished(() => client.disconnect());
  const clock = new RedisClock(client, KEYS);
  await clock.adjust();
  const [seconds, microseconds] = await client.time();
  const redisUs = Number(seconds) * SECOND_US + Number(microseconds);
  expect(Math.abs(clock.nowUs() - redisUs)).toBeLessThan(SECOND_US / 10);
});

it.each([-HOUR_US, HOUR_US])('follows Redis where the clocks differ by %d µs', async (offset) => {
  const clock = new RedisClock(redisOff(offset), KEYS);
  expect(Math.abs(clock.nowUs() - machineUs())).toBeLessThan(60 * SECOND_US);
  await clock.adjust();
  expect(Math.abs(clock.nowUs() - machineUs() - offset)).toBeLessThan(SECOND_US);
});

it('takes no notice of a reply that comes late', async () => {
  const clock = new RedisClock(redisOff(HOUR_US, 300), KEYS);
  await clock.adjust();
  expect(Math.abs(clock.nowUs() - machineUs())).toBeLessThan(60 * SECOND_US);
});
