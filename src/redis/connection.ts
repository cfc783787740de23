import { type Cluster, Redis, type RedisOptions } from 'ioredis';
import { InvalidConfigError, QueueUnavailableError } from '../errors.js';
import type { Logger } from '../logger.js';
import { silentLogger } from '../logger.js';

/** A URL, ioredis options, or a `Redis` or `Cluster` of yours, which stays yours to close. */
export type RedisOption = string | RedisOptions | Redis | Cluster;

/**
 * - `commands`: fails at once while Redis is away; whoever sends decides when to try again.
 * - `worker`: waits for Redis, as BullMQ's workers need it; of a given connection it is a duplicate.
 */
export type ConnectionPurpose = 'commands' | 'worker';

const PROTOCOLS = new Set(['redis:', 'rediss:']);
/** Longest wait between two attempts to connect again: an outage should end for us soon after it ends. */
const MAX_RECONNECT_MS = 1000;
/** One log line at most in this time: at `maxmemory` an error comes every millisecond. */
const LOG_INTERVAL_MS = 5000;

/** A connection with its owner. `epoch` counts how often it was lost, so that a caller sees a gap between two commands. */
export class RedisConnection {
  readonly client: Redis | Cluster;
  readonly #owned: boolean;
  readonly #onError: (error: Error) => void;
  readonly #onClose = () => {
    this.#epoch++;
    this.#givingUp = false;
  };
  readonly #duplicates: (Redis | Cluster)[] = [];
  #epoch = 0;
  #givingUp = false;

  constructor(redis: RedisOption, purpose: ConnectionPurpose, logger: Logger = silentLogger) {
    const given = isClient(redis) || isCluster(redis);
    refuseOptions(given ? redis.options : redis);
    this.#owned = !given || purpose === 'worker';
    this.client = given && purpose === 'commands' ? redis : connect(redis, purpose);
    if (purpose === 'worker') this.#ownDuplicates();
    this.#onError = throttledErrorLog(logger, 'Redis connection error');
    this.client.on('error', this.#onError);
    this.client.on('close', this.#onClose);
  }

  get epoch(): number {
    return this.#epoch;
  }

  get ready(): boolean {
    return this.client.status === 'ready';
  }

  /**
   * Gives up a connection that is open and does not answer, which otherwise stays so for minutes and keeps the payloads of
   * the commands that nobody waits for any more. A connection of the application is left alone.
   */
  reset(): void {
    if (!this.#owned || !this.ready || this.#givingUp) return;
    this.#givingUp = true;
    this.client.disconnect(true);
  }

  /** BullMQ makes a second connection of ours for its blocking calls, and cannot close it while Redis is away. */
  #ownDuplicates(): void {
    const { client } = this;
    const duplicate = client.duplicate.bind(client) as (...args: unknown[]) => Redis | Cluster;
    Object.assign(client, {
      duplicate: (...args: unknown[]) => {
        const made = duplicate(...args);
        this.#duplicates.push(made);
        return made;
      },
    });
  }

  /** Closes the connection, unless it is the application's. Does not wait for Redis. Idempotent. */
  close(): void {
    this.client.off('close', this.#onClose);
    if (this.#owned) {
      for (const client of [this.client, ...this.#duplicates]) {
        // One that has ended would be held open for two seconds more, by the timer that is to end it.
        if (client.status !== 'end') client.disconnect();
      }
    } else this.client.off('error', this.#onError);
  }
}

function connect(redis: RedisOption, purpose: ConnectionPurpose): Redis | Cluster {
  // BullMQ's workers refuse a connection that gives up on a command.
  const forWorker = { maxRetriesPerRequest: null };
  if (isCluster(redis))
    return redis.duplicate([], { redisOptions: { ...redis.options.redisOptions, ...forWorker } });
  if (isClient(redis)) return redis.duplicate(forWorker);
  const options: RedisOptions = {
    retryStrategy: (attempt) => Math.min(50 * attempt, MAX_RECONNECT_MS),
    ...(purpose === 'worker' ? forWorker : { maxRetriesPerRequest: 0, enableOfflineQueue: false }),
  };
  if (typeof redis === 'string') return new Redis(checkedUrl(redis), options);
  if (typeof redis !== 'object' || redis === null) {
    throw new InvalidConfigError('redis', 'must be a URL, ioredis options, or an ioredis Redis or Cluster');
  }
  return new Redis({ ...redis, ...options });
}

/** Options with which BullMQ refuses to work, or takes every reply for another one. @throws InvalidConfigError */
function refuseOptions(options: object | string): void {
  for (const name of ['keyPrefix', 'stringNumbers'] as const) {
    if (typeof options === 'object' && (options as RedisOptions | null)?.[name]) {
      throw new InvalidConfigError('redis', `must not have the option ${name}`);
    }
  }
}

// By shape and not by class: the application may have another copy of ioredis.
function isClient(redis: unknown): redis is Redis {
  return typeof (redis as Redis | null)?.defineCommand === 'function' && !isCluster(redis);
}

function isCluster(redis: unknown): redis is Cluster {
  return (redis as Cluster | null)?.isCluster === true;
}

/** @throws InvalidConfigError; the URL, which may hold a password, is not repeated. */
export function checkedUrl(text: string, field = 'redis'): string {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // Node's error holds the whole input.
  }
  if (!url || !PROTOCOLS.has(url.protocol) || url.hash !== '' || !/^\/?\d*$/.test(url.pathname)) {
    throw new InvalidConfigError(
      field,
      'must be a URL like redis://user:password@host:6379/0, with # and / in the password as %23 and %2F',
    );
  }
  return text;
}

/** Says the first error and then, at intervals, how many there were. */
export function throttledErrorLog(logger: Logger, message: string): (error: unknown) => void {
  let silentUntil = 0;
  let suppressed = 0;
  return (error) => {
    const now = Date.now();
    if (now < silentUntil) {
      suppressed++;
      return;
    }
    silentUntil = now + LOG_INTERVAL_MS;
    logger.warn({ error: redisErrorText(error), ...(suppressed > 0 && { suppressed }) }, message);
    suppressed = 0;
  };
}

/** ioredis errors carry the arguments of the command, which hold states: only name, code and first words are told. */
export function redisErrorText(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const { code } = error as NodeJS.ErrnoException;
  return code ?? `${error.name}: ${error.message.split(/[:(]/, 1)[0]?.slice(0, 80)}`;
}

export function asQueueUnavailable(error: unknown, doing: string): QueueUnavailableError {
  if (error instanceof QueueUnavailableError) return error;
  const refused = error instanceof Error && error.name === 'ReplyError';
  return new QueueUnavailableError(`Redis did not take it while ${doing}: ${redisErrorText(error)}`, {
    refused,
  });
}
