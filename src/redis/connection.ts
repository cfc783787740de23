import { type Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import { InvalidConfigError, QueueUnavailableError, type RedisAccessError } from '../errors.js';
import type { Logger } from '../logger.js';
import { silentLogger } from '../logger.js';
import { accessErrorOf, answerWithoutInfo, rejectWithRefusal } from './access.js';
import { ClusterSlot } from './cluster-slot.js';
import type { QueueKeys } from './queue-keys.js';
import { checkRedisOptions } from './redis-options.js';
import { type ClientOptions, openUrl } from './redis-url.js';

/** A URL (of a Redis, a Cluster or Sentinels), ioredis options, or a `Redis` or `Cluster` of yours, which stays yours to close. */
export type RedisOption = string | RedisOptions | Redis | Cluster;

/**
 * - `commands`: fails at once while Redis is away; whoever sends decides when to try again.
 * - `worker`: waits for Redis, as BullMQ's workers need it; of a given connection it is a duplicate.
 */
export type ConnectionPurpose = 'commands' | 'worker';

/** Longest wait between two attempts to connect again: an outage should end for us soon after it ends. */
const MAX_RECONNECT_MS = 1000;
/** Before a connection that ioredis has given up is begun anew. */
const REVIVE_MS = 100;
/** One log line at most in this time: at `maxmemory` an error comes every millisecond. */
const LOG_INTERVAL_MS = 5000;

/**
 * A connection with its owner. `epoch` counts how often it was lost, or led to another master, so that a caller sees a gap between
 * two commands.
 */
export class RedisConnection {
  readonly client: Redis | Cluster;
  readonly #owned: boolean;
  /** Of a Cluster: where the queue is. */
  readonly #slot: ClusterSlot | undefined;
  readonly #onError: (error: Error) => void;
  readonly #onClose = () => {
    this.#epoch++;
    this.#givingUp = false;
  };
  /** A Cluster is not closed by the loss of one node. */
  readonly #onNodeLost = () => {
    this.#epoch++;
  };
  readonly #duplicates: (Redis | Cluster)[] = [];
  readonly #revivals = new Set<NodeJS.Timeout>();
  #epoch = 0;
  #givingUp = false;
  #closed = false;
  #refusal: RedisAccessError | undefined;
  readonly #onReady = () => {
    this.#refusal = undefined;
  };

  /**
   * @param keys of the queue that it is for
   * @throws InvalidConfigError naming `redis`; or `prefix`, for a Cluster whose nodes would share the queue among them
   */
  constructor(
    redis: RedisOption,
    keys: QueueKeys,
    purpose: ConnectionPurpose,
    logger: Logger = silentLogger,
  ) {
    const given = isClient(redis) || isCluster(redis);
    if (!given && typeof redis !== 'string') checkRedisOptions(redis);
    refuseOptions(given ? redis.options : redis);
    this.#owned = !given || purpose === 'worker';
    this.client = given && purpose === 'commands' ? redis : connect(redis, purpose);
    if (isCluster(this.client)) this.#slot = this.#slotIn(this.client, keys);
    if (this.#owned) {
      this.#revive(this.client);
      answerWithoutInfo(this.client);
      if (purpose === 'commands') rejectWithRefusal(this.client, () => this.#refusal);
    }
    if (purpose === 'worker') this.#ownDuplicates();
    const logError = throttledErrorLog(logger, 'Redis connection error');
    this.#onError = (error) => {
      // The first reason: without the right password, everything that follows fails too.
      this.#refusal ??= accessErrorOf(error);
      logError(error);
    };
    this.client.on('ready', this.#onReady);
    this.client.on('error', this.#onError);
    this.client.on('close', this.#onClose);
    this.client.on('-node', this.#onNodeLost);
  }

  get epoch(): number {
    return this.#epoch + (this.#slot?.moves ?? 0);
  }

  /** Why Redis does not let this user in, while it does not. */
  get refusal(): RedisAccessError | undefined {
    return this.#refusal;
  }

  get ready(): boolean {
    return this.client.status === 'ready' && (this.#slot?.ready ?? true);
  }

  /**
   * Whether what is sent first is run first. A Cluster sends again, a little later, what its node did not take, while other commands
   * go ahead.
   */
  get ordered(): boolean {
    return this.ready && this.#slot === undefined;
  }

  /**
   * Gives up a connection that is open and does not answer, which otherwise stays so for minutes and keeps the payloads of
   * the commands that nobody waits for any more. A connection of the application is left alone.
   */
  reset(): void {
    if (!this.#owned || this.client.status !== 'ready' || this.#givingUp) return;
    this.#givingUp = true;
    this.client.disconnect(true);
  }

  #slotIn(cluster: Cluster, keys: QueueKeys): ClusterSlot {
    try {
      return new ClusterSlot(cluster, keys);
    } catch (error) {
      if (this.#owned) cluster.disconnect();
      throw error;
    }
  }

  /** BullMQ makes a second connection of ours for its blocking calls, and cannot close it while Redis is away. */
  #ownDuplicates(): void {
    const { client } = this;
    const duplicate = client.duplicate.bind(client) as (...args: unknown[]) => Redis | Cluster;
    Object.assign(client, {
      duplicate: (...args: unknown[]) => {
        const made = duplicate(...args);
        this.#duplicates.push(made);
        this.#revive(made);
        answerWithoutInfo(made);
        return made;
      },
    });
  }

  /**
   * ioredis ends a connection for good if its failover detector tells of a new master at the moment when it asks a Sentinel for one: of
   * 31 failovers under load, 2 left a store or a worker dead. What BullMQ ends itself is open a little longer, until `close`.
   */
  #revive(client: Redis | Cluster): void {
    client.on('end', () => {
      if (this.#closed) return;
      const revival = setTimeout(() => {
        this.#revivals.delete(revival);
        client.connect().catch(() => {}); // told as an error of the connection, which tries again
      }, REVIVE_MS);
      this.#revivals.add(revival);
    });
  }

  /** Closes the connection, unless it is the application's. Does not wait for Redis. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const revival of this.#revivals) clearTimeout(revival);
    this.client.off('close', this.#onClose);
    this.client.off('-node', this.#onNodeLost);
    this.client.off('ready', this.#onReady);
    if (this.#owned) {
      for (const client of [this.client, ...this.#duplicates]) {
        // One that has ended would be held open for two seconds more, by the timer that is to end it.
        if (client.status !== 'end') client.disconnect();
      }
    } else this.client.off('error', this.#onError);
  }
}

/** A master that was demoted keeps its connections, though its address may lead to the new one by now. */
const ONE_SERVER = { reconnectOnError: ({ message }: Error) => message.includes('READONLY') };
/** Whoever sends a command decides when to try it again. */
const FOR_COMMANDS = { maxRetriesPerRequest: 0, enableOfflineQueue: false };
/**
 * BullMQ's workers refuse a connection that gives up on a command. Their blocking call answers nothing for up to 10 s, which no limit of
 * the application's own may cut: an idle worker would never hear of another job.
 */
const UNLIMITED = { commandTimeout: undefined, blockingTimeout: undefined, socketTimeout: undefined };
const CHECKED = { enableReadyCheck: true, enableAutoPipelining: false, autoResendUnfulfilledCommands: true };
const FOR_WORKER = { maxRetriesPerRequest: null, enableOfflineQueue: true, ...UNLIMITED, ...CHECKED };
/**
 * A node that answers nothing closes no connection, so that nobody would look for the master that has taken its place. Above the 10 s for
 * which BullMQ's blocking command waits.
 */
const NODE = { socketTimeout: 12_000 };
/** The check asks any node, which may be the one that answers nothing, and waits for it. A Cluster that is down says so anyway. */
const CLUSTER = { enableReadyCheck: false };
/**
 * A failover of a Cluster lasts longer than the 1.6 s that it tries by itself; BullMQ takes the error at their end for one of the job.
 * A node that is asked for what has moved is not asked again at once, for the other one may not know of it yet.
 */
const CLUSTER_FOR_WORKER = {
  ...CLUSTER,
  redisOptions: { ...FOR_WORKER, ...NODE },
  enableOfflineQueue: true,
  maxRedirections: Number.MAX_SAFE_INTEGER,
  retryDelayOnMoved: 50,
};

function connect(redis: RedisOption, purpose: ConnectionPurpose): Redis | Cluster {
  if (isCluster(redis)) {
    const redisOptions = { ...redis.options.redisOptions, ...CLUSTER_FOR_WORKER.redisOptions };
    return redis.duplicate([], { ...CLUSTER_FOR_WORKER, redisOptions });
  }
  if (isClient(redis)) return redis.duplicate({ ...ONE_SERVER, ...FOR_WORKER });
  const options = clientOptions(purpose);
  if (typeof redis === 'string') {
    const client = openUrl(redis, options);
    // A parameter of the URL has gone before them.
    if (!client.isCluster) Object.assign(client.options, purpose === 'worker' ? FOR_WORKER : FOR_COMMANDS);
    return client;
  }
  return new Redis({ ...redis, ...options.redis });
}

function clientOptions(purpose: ConnectionPurpose): ClientOptions {
  const reconnectMs = (attempt: number) => Math.min(50 * attempt, MAX_RECONNECT_MS);
  const [redis, cluster]: [RedisOptions, ClusterOptions] =
    purpose === 'worker'
      ? [FOR_WORKER, CLUSTER_FOR_WORKER]
      : [FOR_COMMANDS, { ...CLUSTER, redisOptions: NODE, enableOfflineQueue: false }];
  return {
    redis: { retryStrategy: reconnectMs, ...ONE_SERVER, ...redis },
    cluster: { clusterRetryStrategy: reconnectMs, ...cluster },
  };
}

/**
 * Options with which BullMQ refuses to work, or takes every reply for another one; and reads from replicas, which may not know yet of
 * a job that is there. @throws InvalidConfigError
 */
function refuseOptions(options: object | string): void {
  if (typeof options !== 'object' || options === null) return;
  const { redisOptions, scaleReads, ...others } = options as RedisOptions & ClusterOptions;
  for (const name of ['keyPrefix', 'stringNumbers'] as const) {
    if (others[name as keyof typeof others] || redisOptions?.[name as keyof typeof redisOptions]) {
      throw new InvalidConfigError('redis', `must not have the option ${name}`);
    }
  }
  if (scaleReads !== undefined && scaleReads !== 'master') {
    throw new InvalidConfigError('redis', "must not read from replicas: scaleReads must be 'master'");
  }
}

// By shape and not by class: the application may have another copy of ioredis.
function isClient(redis: unknown): redis is Redis {
  return typeof (redis as Redis | null)?.defineCommand === 'function' && !isCluster(redis);
}

function isCluster(redis: unknown): redis is Cluster {
  return (redis as Cluster | null)?.isCluster === true;
}

/** Says the first error and then, at intervals, how many there were. */
export function throttledErrorLog(logger: Logger, message: string): (error: unknown) => void {
  let silentUntil = 0;
  let suppressed = 0;
  return (error) => {
    const now = performance.now();
    if (now < silentUntil) {
      suppressed++;
      return;
    }
    silentUntil = now + LOG_INTERVAL_MS;
    // An outage ends by itself; a wrong password or a missing right does not.
    const level = accessErrorOf(error) ? 'error' : 'warn';
    logger[level]({ error: redisErrorText(error), ...(suppressed > 0 && { suppressed }) }, message);
    suppressed = 0;
  };
}

/** ioredis errors carry the arguments of the command, which hold states: only name, code and first words are told. */
export function redisErrorText(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const refusal = accessErrorOf(error);
  if (refusal) return refusal.message;
  const { code } = error as NodeJS.ErrnoException;
  if (error.message.startsWith("Stream isn't writeable")) return 'not connected';
  return code ?? `${error.name}: ${error.message.split(/[:(]/, 1)[0]?.slice(0, 80)}`;
}

export function asQueueUnavailable(error: unknown, doing: string): QueueUnavailableError {
  if (error instanceof QueueUnavailableError) return error;
  const refusal = accessErrorOf(error);
  if (refusal) return refusal;
  const refused = error instanceof Error && error.name === 'ReplyError';
  return new QueueUnavailableError(`Redis did not take it while ${doing}: ${redisErrorText(error)}`, {
    refused,
  });
}
