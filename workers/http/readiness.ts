import { CheckpointQueueError } from '../../src/errors.js';
import { boundedPool } from '../../src/postgres/bounded-pool.js';
import { Database } from '../../src/postgres/database.js';
import { type TableNames, tableNames } from '../../src/postgres/identifiers.js';
import { SCHEMA_VERSION, schemaVersion } from '../../src/postgres/schema.js';
import { RedisConnection, redisErrorText } from '../../src/redis/connection.js';
import { settlesWithin, withDeadline } from '../../src/redis/deadline.js';
import { type QueueKeys, queueKeys } from '../../src/redis/queue-keys.js';
import { EVICTION_POLICY, readServerInfo, UNKNOWN } from '../../src/redis/server-info.js';
import { remembered } from '../../src/remembered.js';
import type { CheckpointWriter } from '../../src/writer/checkpoint-writer.js';

export type CheckResult = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** Whether this replica can take saves to PostgreSQL now, and what keeps it from that. */
export interface Readiness {
  readonly ready: boolean;
  readonly checks: Readonly<
    Record<'worker' | 'breaker' | 'postgres' | 'schema' | 'redis' | 'evictionPolicy', CheckResult>
  >;
}

export interface ReadinessProbeOptions {
  redis: string;
  postgres: string;
  queue: string;
  prefix: string;
  schema: string;
  table: string;
}

/** One check at most; probes of orchestrators give up after a second or a few. */
const CHECK_TIMEOUT_MS = 2000;
/** So that probes, however many, do not load the services. */
const REMEMBERED_MS = 1000;
const CLOSE_MS = 1000;

/**
 * Looks at the services over connections of its own, one each: those of the writer may be busy, or held by a server that answers
 * nothing, and a probe must not wait behind a batch.
 */
export class ReadinessProbe {
  readonly #database: Database;
  readonly #redis: RedisConnection;
  readonly #keys: QueueKeys;
  readonly #names: TableNames;
  /** Never rejects. */
  readonly look: () => Promise<Readiness>;

  constructor(
    private readonly writer: Pick<CheckpointWriter, 'state' | 'breaker' | 'redisRefusal'>,
    { redis, postgres, ...where }: ReadinessProbeOptions,
  ) {
    const name = 'checkpoint-queue readiness';
    this.#database = new Database(boundedPool(postgres, { name, max: 1, timeoutMs: CHECK_TIMEOUT_MS }));
    this.#keys = queueKeys(where);
    this.#redis = new RedisConnection(redis, this.#keys, 'commands');
    this.#names = tableNames(where);
    this.look = remembered(REMEMBERED_MS, () => this.#look());
  }

  async close(): Promise<void> {
    this.#redis.close();
    await settlesWithin(this.#database.close(), CLOSE_MS);
  }

  async #look(): Promise<Readiness> {
    const [postgresAndSchema, redisAndPolicy] = await Promise.all([
      this.#lookAtPostgres(),
      this.#lookAtRedis(),
    ]);
    const checks = {
      worker: this.#lookAtWorker(),
      breaker: this.#lookAtBreaker(),
      ...postgresAndSchema,
      ...redisAndPolicy,
    };
    return { ready: Object.values(checks).every(({ ok }) => ok), checks };
  }

  #lookAtWorker(): CheckResult {
    const { state, redisRefusal } = this.writer;
    if (redisRefusal) return failed(redisRefusal.message);
    return state === 'running' ? passed : failed(state === 'new' ? 'starting' : state);
  }

  #lookAtBreaker(): CheckResult {
    const { state, failure, sqlState } = this.writer.breaker;
    return state === 'closed' ? passed : failed(`open: ${sqlState ?? failure}`);
  }

  async #lookAtPostgres(): Promise<{ postgres: CheckResult; schema: CheckResult }> {
    try {
      const version = await schemaVersion(this.#database, this.#names);
      const schema =
        version === SCHEMA_VERSION
          ? passed
          : failed(`version ${version}, this release needs ${SCHEMA_VERSION}`);
      return { postgres: passed, schema };
    } catch (error) {
      const reason = reasonOf(error);
      if (codeOf(error) === 'SCHEMA_MISMATCH') return { postgres: passed, schema: failed(reason) };
      return { postgres: failed(reason), schema: failed('not known') };
    }
  }

  async #lookAtRedis(): Promise<{ redis: CheckResult; evictionPolicy: CheckResult }> {
    try {
      const read = readServerInfo(this.#redis.client, this.#keys);
      const { evictionPolicy: policy } = await withDeadline(
        performance.now() + CHECK_TIMEOUT_MS,
        read,
        'reading its state',
      );
      const evictionPolicy =
        // Of a user who may not ask, nothing is known: that is no reason to stop the worker.
        policy === EVICTION_POLICY || policy === UNKNOWN
          ? passed
          : failed(`${policy} drops acknowledged saves`);
      return { redis: passed, evictionPolicy };
    } catch (error) {
      if (codeOf(error) === 'QUEUE_UNAVAILABLE') this.#redis.reset();
      return { redis: failed(reasonOf(error)), evictionPolicy: failed('not known') };
    }
  }
}

const passed: CheckResult = Object.freeze({ ok: true });

function failed(reason: string): CheckResult {
  return { ok: false, reason };
}

function codeOf(error: unknown): string | undefined {
  return error instanceof CheckpointQueueError ? error.code : undefined;
}

function reasonOf(error: unknown): string {
  return error instanceof CheckpointQueueError ? error.message : redisErrorText(error);
}
