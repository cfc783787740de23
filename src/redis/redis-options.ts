import type { RedisOptions } from 'ioredis';
import { InvalidConfigError } from '../errors.js';
import { checkOptions, isCopyable, type KnownKeys } from '../known-keys.js';
import { checkTlsOptions } from '../tls-options.js';

/** What ioredis takes for one Redis, or for the master that Sentinels know. */
export const REDIS_OPTIONS = {
  Connector: true,
  autoPipeliningIgnoredCommands: true,
  autoResendUnfulfilledCommands: true,
  autoResubscribe: true,
  blockingTimeout: true,
  blockingTimeoutGrace: true,
  clientInfoTag: true,
  commandQueue: true,
  commandTimeout: true,
  connectTimeout: true,
  connectionName: true,
  db: true,
  disableClientInfo: true,
  disconnectTimeout: true,
  enableAutoPipelining: true,
  enableOfflineQueue: true,
  enableReadyCheck: true,
  enableTLSForSentinelMode: true,
  failoverDetector: true,
  family: true,
  himportFieldsets: true,
  host: true,
  keepAlive: true,
  keyPrefix: true,
  lazyConnect: true,
  maxLoadingRetryTime: true,
  maxRetriesPerRequest: true,
  monitor: true,
  name: true,
  natMap: true,
  noDelay: true,
  offlineQueue: true,
  password: true,
  path: true,
  port: true,
  preferredSlaves: true,
  protocol: true,
  readOnly: true,
  reconnectOnError: true,
  replyMapping: true,
  retryStrategy: true,
  role: true,
  scripts: true,
  sentinelCommandTimeout: true,
  sentinelMaxConnections: true,
  sentinelPassword: true,
  sentinelReconnectStrategy: true,
  sentinelRetryStrategy: true,
  sentinelTLS: true,
  sentinelUsername: true,
  sentinels: true,
  showFriendlyErrorStack: true,
  socketTimeout: true,
  stringNumbers: true,
  tls: true,
  updateSentinels: true,
  username: true,
} satisfies KnownKeys<RedisOptions>;

/** ioredis knows the certificates of some providers. */
const PROFILE = { profile: true } as const;

const FOR_CLUSTER = 'give a Cluster as new Cluster(nodes, options) of ioredis';
/** What others call it, and what to do instead. */
const HINTS: Readonly<Record<string, string>> = {
  url: "give the URL itself, as redis: 'redis://host:6379'",
  connection: 'give what it holds as redis',
  socket: 'host and port stand beside the other options',
  database: 'the number of the database is db',
  nodes: FOR_CLUSTER,
  redisOptions: FOR_CLUSTER,
};

/**
 * An option that ioredis does not know it ignores, and connects to 127.0.0.1:6379.
 * @throws InvalidConfigError naming the option
 */
export function checkRedisOptions(redis: unknown): void {
  if (!isCopyable(redis)) {
    throw new InvalidConfigError('redis', 'must be a URL, ioredis options, or an ioredis Redis or Cluster');
  }
  checkOptions(redis, REDIS_OPTIONS, 'ioredis', { within: 'redis', hints: HINTS });
  const { tls, sentinelTLS } = redis as RedisOptions;
  for (const [name, value] of Object.entries({ tls, sentinelTLS })) {
    checkTlsOptions(value, `redis.${name}`, PROFILE);
  }
}
