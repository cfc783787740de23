import { InvalidConfigError } from '../errors.js';
import { checkOptions, isCopyable, type KnownKeys } from '../known-keys.js';
import { checkTlsOptions } from '../tls-options.js';
import type { PgPoolConfig } from './pg-types.js';

/** What `pg` takes for a pool and its connections. */
const OPTIONS = {
  Client: true,
  Promise: true,
  allowExitOnIdle: true,
  application_name: true,
  client_encoding: true,
  connectionString: true,
  connectionTimeoutMillis: true,
  database: true,
  enableChannelBinding: true,
  fallback_application_name: true,
  host: true,
  idleTimeoutMillis: true,
  idle_in_transaction_session_timeout: true,
  keepAlive: true,
  keepAliveInitialDelayMillis: true,
  lock_timeout: true,
  log: true,
  max: true,
  maxLifetimeSeconds: true,
  maxUses: true,
  min: true,
  onConnect: true,
  options: true,
  password: true,
  pipeline: true,
  port: true,
  query_timeout: true,
  ssl: true,
  sslnegotiation: true,
  statement_timeout: true,
  stream: true,
  types: true,
  user: true,
  verify: true,
} satisfies KnownKeys<PgPoolConfig>;
/** What it takes as well, and its types do not know. */
const NOT_IN_TYPES = {
  binary: true,
  connection: true,
  poolSize: true,
  replication: true,
  scramMaxIterations: true,
} as const;

const CONNECTION_STRING =
  "a DSN is given itself, as postgres: 'postgresql://host/db', or as connectionString";
/** What others call it, and what to do instead. */
const HINTS: Readonly<Record<string, string>> = {
  url: CONNECTION_STRING,
  uri: CONNECTION_STRING,
  dsn: CONNECTION_STRING,
  username: 'it is user',
  sslmode: 'it is ssl, or a parameter of a DSN',
};

/**
 * An option that `pg` does not know it ignores, and connects to what the environment says, or to localhost.
 * @param field the option whose value it is
 * @throws InvalidConfigError naming the option
 */
export function checkPoolOptions(config: unknown, field: string): void {
  if (!isCopyable(config)) {
    throw new InvalidConfigError(field, 'must be a DSN, a pg pool configuration, or a pg.Pool');
  }
  checkOptions(config, { ...OPTIONS, ...NOT_IN_TYPES }, 'a pg.Pool', { within: field, hints: HINTS });
  checkTlsOptions((config as PgPoolConfig).ssl, `${field}.ssl`);
}
