/*
 * What of `pg` the public API names, described here: @types/pg is no dependency of this package, so its declarations may not import
 * `pg`, and a program that uses another version of @types/pg, or none, compiles all the same.
 */

/** What a query of a `pg` client resolves to, as far as it is used. */
export interface PgResult<Row = Record<string, unknown>> {
  rows: Row[];
  rowCount: number | null;
}

export interface PgQuery {
  text: string;
  values?: unknown[];
  types?: { getTypeParser(oid: number, format?: string): (value: string) => unknown };
}

/** What runs its own protocol on a connection, such as a COPY. */
export interface PgSubmittable {
  submit(connection: object): void;
}

/** What is used of a `pg` client. */
export interface PgClient {
  query<Row = Record<string, unknown>>(query: string | PgQuery, values?: unknown[]): Promise<PgResult<Row>>;
  query<Stream extends PgSubmittable>(stream: Stream): Stream;
  release(error?: Error | boolean): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  off(event: 'error', listener: (error: Error) => void): unknown;
}

/** What is used of a `pg` pool. */
export interface PgPool {
  connect(): Promise<PgClient>;
  end(): Promise<void>;
  on?(event: 'connect', listener: (client: PgClient) => void): unknown;
  on?(event: 'error', listener: (error: Error) => void): unknown;
  off?(event: 'connect', listener: (client: PgClient) => void): unknown;
  off?(event: 'error', listener: (error: Error) => void): unknown;
}

/** The options of `new pg.Pool()`, with their names and units there. */
export interface PgPoolConfig {
  connectionString?: string | undefined;
  host?: string | undefined;
  port?: number | undefined;
  user?: string | undefined;
  password?: string | (() => string | Promise<string>) | undefined;
  database?: string | undefined;
  /** `true`, or the options of `tls.connect`. */
  ssl?: boolean | object | undefined;
  sslnegotiation?: 'postgres' | 'direct' | undefined;
  enableChannelBinding?: boolean | undefined;
  application_name?: string | undefined;
  fallback_application_name?: string | undefined;
  client_encoding?: string | undefined;
  options?: string | undefined;
  keepAlive?: boolean | undefined;
  keepAliveInitialDelayMillis?: number | undefined;
  connectionTimeoutMillis?: number | undefined;
  statement_timeout?: number | false | undefined;
  query_timeout?: number | undefined;
  lock_timeout?: number | undefined;
  idle_in_transaction_session_timeout?: number | undefined;
  pipeline?: boolean | undefined;
  /** Most connections. */
  max?: number | undefined;
  min?: number | undefined;
  idleTimeoutMillis?: number | null | undefined;
  maxUses?: number | undefined;

  maxLifetimeSeconds?: number | undefined;
  allowExitOnIdle?: boolean | undefined;
  // Handed to `pg` as they are.
  types?: unknown;
  stream?: unknown;
  log?: unknown;
  Promise?: unknown;
  Client?: unknown;
  onConnect?: unknown;
  verify?: unknown;
}

/** A DSN, a `pg` pool configuration, or a pool of yours, which stays yours to close. */
export type PostgresOption = string | PgPoolConfig | PgPool;
