import type { Cluster, Redis } from 'ioredis';
import { CheckpointQueueError } from '../errors.js';
import type { Database } from '../postgres/database.js';
import { redisErrorText } from '../redis/connection.js';
import { openUrl } from '../redis/redis-url.js';
import { readServers } from '../redis/server-info.js';
import { error, ok, type Verdict, warning } from './finding.js';
import type { RedisSubject } from './redis-checks.js';

/** A save waits for two replies of Redis, a batch for half a dozen of PostgreSQL. */
const SLOW_ROUND_TRIP_MS = { redis: 10, postgres: 25 };
const SLOW_CONNECT_MS = 1000;
/** Several, for one may meet a pause that says nothing. */
const ROUND_TRIPS = 5;

/** A connection that fails at once and does not try again. The caller ends it. */
export function openRedis(url: string, timeoutMs: number): Redis | Cluster {
  const times = { connectTimeout: timeoutMs, commandTimeout: timeoutMs };
  const never = () => null;
  const client = openUrl(url, {
    redis: {
      ...times,
      lazyConnect: true,
      maxRetriesPerRequest: 0,
      retryStrategy: never,
      sentinelRetryStrategy: never,
    },
    cluster: {
      lazyConnect: true,
      slotsRefreshTimeout: timeoutMs,
      clusterRetryStrategy: never,
      redisOptions: times,
    },
  });
  client.on('error', () => {}); // told by `connect` and the commands
  return client;
}

/** @returns what the other checks of Redis look through, unless it cannot be reached */
export async function connectToRedis(
  client: Redis | Cluster,
): Promise<{ verdict: Verdict; subject?: RedisSubject }> {
  let failure: unknown;
  client.once('error', (cause) => {
    failure = cause;
  });
  try {
    const { connectMs, roundTripMs } = await timed(
      () => client.connect(),
      () => client.ping(),
    );
    const subject = { client, servers: await readServers(client) };
    const slow = roundTripMs > SLOW_ROUND_TRIP_MS.redis || connectMs > SLOW_CONNECT_MS;
    return {
      verdict: speed(
        connectMs,
        roundTripMs,
        slow,
        'Every save waits for Redis: agents and Redis belong into one network.',
      ),
      subject,
    };
  } catch (cause) {
    const todo =
      'Is it running, and is REDIS_URL right? The other checks of Redis and of the queue are left out.';
    return { verdict: error(`cannot be reached: ${redisErrorText(failure ?? cause)}`, todo) };
  }
}

export async function connectToPostgres(database: Database): Promise<{ verdict: Verdict; reached: boolean }> {
  try {
    const { connectMs, roundTripMs } = await timed(
      () => database.query('SELECT 1'),
      () => database.query('SELECT 1'),
    );
    const slow = roundTripMs > SLOW_ROUND_TRIP_MS.postgres || connectMs > SLOW_CONNECT_MS;
    const todo = 'Every batch takes several round trips: workers and PostgreSQL belong into one network.';
    return { verdict: speed(connectMs, roundTripMs, slow, todo), reached: true };
  } catch (cause) {
    const reason = cause instanceof CheckpointQueueError ? cause.message : 'unknown error';
    const todo = 'Is it running, and is DATABASE_URL right? The other checks of PostgreSQL are left out.';
    return { verdict: error(reason, todo), reached: false };
  }
}

async function timed(
  connect: () => Promise<unknown>,
  ask: () => Promise<unknown>,
): Promise<{ connectMs: number; roundTripMs: number }> {
  const began = performance.now();
  await connect();
  const connectMs = performance.now() - began;
  let roundTripMs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUND_TRIPS; round++) {
    const asked = performance.now();
    await ask();
    roundTripMs = Math.min(roundTripMs, performance.now() - asked);
  }
  return { connectMs, roundTripMs };
}

function speed(connectMs: number, roundTripMs: number, slow: boolean, todo: string): Verdict {
  const seen = `connected in ${connectMs.toFixed(0)} ms, round trip ${roundTripMs.toFixed(1)} ms`;
  return slow ? warning(seen, todo) : ok(seen);
}
