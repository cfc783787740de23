import type { SerializerProtocol } from '@langchain/langgraph-checkpoint';
import { InvalidConfigError } from '../errors.js';
import { checkOptions, type KnownKeys } from '../known-keys.js';
import { isWithin } from '../numbers.js';
import type { PostgresOption } from '../postgres/database.js';
import { LIMIT_OPTIONS, type ProducerLimits } from '../producer/limits.js';
import type { EmbeddedWriterOptions } from '../store/embedded-writer.js';
import { type QueuedSettings, queuedSettings } from '../store/queued-options.js';
import type { PipelineOptions } from '../writer/pipeline-options.js';

export interface QueuedPostgresSaverOptions
  extends Omit<PipelineOptions, 'schema' | 'table' | 'partitionBy'>,
    Partial<ProducerLimits> {
  /** Where the tables are. Default `langgraph`; `public` is where PostgresSaver has its own, which are shared then. */
  schema?: string;
  /** Default: LangGraph's JsonPlusSerializer, as PostgresSaver has it. */
  serde?: SerializerProtocol;
  /**
   * `latest` (default): a read sees all that was put anywhere before it began, or throws. `committed`: it reads what PostgreSQL has,
   * and does not ask Redis.
   */
  consistency?: 'latest' | 'committed';
  /**
   * For `consistency: 'committed'`: a replica of the PostgreSQL, where checkpoints are read then; a DSN, a `pg` pool configuration, or
   * a `pg.Pool`, which stays yours to close. What it does not answer within 5 s, or refuses, is read at the primary; while it is
   * away no read waits for it. Default: none.
   */
  readPostgres?: PostgresOption | undefined;
  /** How long a read waits for what was put before it, in milliseconds. Default 10,000. */
  readTimeoutMs?: number;
  /** What has more bytes than this goes straight to PostgreSQL. Default 1 MiB. */
  maxQueuedBytes?: number;
  /**
   * Also drain the queue in this process, for applications that want no separate worker: `true`, or how. `end` then waits up to
   * 10 s for the commit of what was put here. It writes LangGraph's tables alone; where a `QueuedCheckpointStore` uses the same queue,
   * start one `CheckpointWriter` with `sinks: [langGraphSink()]` for both. Default: false.
   */
  writer?: boolean | Omit<EmbeddedWriterOptions, 'checkpoints' | 'sinks'>;
}

const OPTIONS = {
  ...LIMIT_OPTIONS,
  redis: true,
  postgres: true,
  queue: true,
  prefix: true,
  logger: true,
  telemetry: true,
  schema: true,
  serde: true,
  consistency: true,
  readPostgres: true,
  readTimeoutMs: true,
  maxQueuedBytes: true,
  writer: true,
} satisfies KnownKeys<QueuedPostgresSaverOptions>;

export interface SaverSettings extends QueuedSettings {
  readonly consistency: 'latest' | 'committed';
  readonly readTimeoutMs: number;
}

const DEFAULT_READ_TIMEOUT_MS = 10_000;

/** @throws InvalidConfigError naming the option */
export function saverSettings(options: QueuedPostgresSaverOptions): SaverSettings {
  checkOptions(options, OPTIONS, 'QueuedPostgresSaver');
  const { consistency = 'latest', readTimeoutMs = DEFAULT_READ_TIMEOUT_MS } = options;
  if (consistency !== 'latest' && consistency !== 'committed') {
    throw new InvalidConfigError('consistency', "must be 'latest' or 'committed'");
  }
  if (options.readPostgres !== undefined && consistency !== 'committed') {
    throw new InvalidConfigError(
      'readPostgres',
      "is for consistency 'committed': the latest is read at the primary",
    );
  }
  if (!isWithin(readTimeoutMs, 0)) {
    throw new InvalidConfigError('readTimeoutMs', 'must be a number of at least 0');
  }
  const given: EmbeddedWriterOptions = typeof options.writer === 'object' ? (options.writer ?? {}) : {};
  for (const name of ['checkpoints', 'sinks'] as const) {
    if (given[name] === undefined) continue;
    throw new InvalidConfigError(
      `writer.${name}`,
      "must not be given: this writer writes LangGraph's tables alone; for others use a CheckpointWriter with langGraphSink()",
    );
  }
  return { ...queuedSettings(options), consistency, readTimeoutMs };
}
