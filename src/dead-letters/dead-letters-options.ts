import { type DeadLetterPosition, parseDeadLetterId } from '../chunk.js';
import { InvalidFilterError } from '../errors.js';
import { checkOptions, type KnownKeys } from '../known-keys.js';
import type { Logger } from '../logger.js';
import { isWhole } from '../numbers.js';
import type { PostgresOption } from '../postgres/database.js';
import { checkLimits, DEFAULT_LIMITS } from '../producer/limits.js';
import type { RedisOption } from '../redis/connection.js';
import { checkFilter, type DeadLetterFilter, FILTERS } from './dead-letter-filter.js';

export interface DeadLettersOptions {
  /** A URL, ioredis options, or an ioredis `Redis` or `Cluster`, which stays yours to close. */
  redis: RedisOption;
  /** The queue whose records were refused. Default `checkpoint-writes`. */
  queue?: string;
  /** BullMQ's key prefix. Default `bull`. */
  prefix?: string;
  /** To tell what became of replayed records: a DSN, a `pg` pool configuration, or a `pg.Pool`, which stays yours to close. */
  postgres?: PostgresOption;
  /** Default `public`. */
  schema?: string;
  /** Default `checkpoints`. */
  table?: string;
  /** Jobs that may be in the queue and not done before a replay waits for room. Default 10,000, a tenth of what producers may fill; 0: no limit. */
  maxQueueDepth?: number;
  /** One dead letter is in the queue again, or its replay fails, within this time, in milliseconds. Default 5000. */
  enqueueTimeoutMs?: number;
  /** Default: silent. */
  logger?: Logger;
}

export const DEAD_LETTERS_OPTIONS = {
  redis: true,
  queue: true,
  prefix: true,
  postgres: true,
  schema: true,
  table: true,
  maxQueueDepth: true,
  enqueueTimeoutMs: true,
  logger: true,
} satisfies KnownKeys<DeadLettersOptions>;

export interface ListDeadLettersOptions extends DeadLetterFilter {
  /** Default 100. */
  limit?: number;
  /** Only those behind the one with this id; to page, give the last id of the page before. It need not be there any more. */
  after?: string;
}

const LIST_OPTIONS = { ...FILTERS, limit: true, after: true } satisfies KnownKeys<ListDeadLettersOptions>;

export interface GetDeadLetterOptions {
  /** With the record itself, state and metadata included. Default false. */
  payload?: boolean;
}

const GET_OPTIONS = { payload: true } satisfies KnownKeys<GetDeadLetterOptions>;

export interface PurgeOptions {
  /** Only count. */
  dryRun?: boolean;
}

export const PURGE_OPTIONS = { dryRun: true } satisfies KnownKeys<PurgeOptions>;

const DEFAULT_LIMIT = 100;
const DEFAULT_MAX_QUEUE_DEPTH = 10_000;

/** The bounds of a replay, with their defaults. @throws InvalidConfigError naming the option */
export function replayLimits(options: DeadLettersOptions): {
  maxQueueDepth: number;
  enqueueTimeoutMs: number;
} {
  const { maxQueueDepth = DEFAULT_MAX_QUEUE_DEPTH, enqueueTimeoutMs = DEFAULT_LIMITS.enqueueTimeoutMs } =
    options;
  checkLimits({ ...DEFAULT_LIMITS, maxQueueDepth, enqueueTimeoutMs });
  return { maxQueueDepth, enqueueTimeoutMs };
}

/** @throws InvalidFilterError naming the option */
export function checkedGet(options: GetDeadLetterOptions): GetDeadLetterOptions {
  checkOptions(options, GET_OPTIONS, 'get', { Refusal: InvalidFilterError });
  return options;
}

/** @throws InvalidFilterError naming the field */
export function checkedList(options: ListDeadLettersOptions): {
  limit: number;
  after: DeadLetterPosition | undefined;
  filter: DeadLetterFilter;
} {
  checkOptions(options, LIST_OPTIONS, 'list', { Refusal: InvalidFilterError });
  const { limit = DEFAULT_LIMIT, after, ...filter } = options;
  checkFilter(filter);
  if (!isWhole(limit, 0)) {
    throw new InvalidFilterError('limit', 'must be a whole number of at least 0');
  }
  const position = after === undefined ? undefined : parseDeadLetterId(after);
  if (after !== undefined && !position) {
    throw new InvalidFilterError('after', 'must be the id of a dead letter');
  }
  return { limit, after: position, filter };
}
