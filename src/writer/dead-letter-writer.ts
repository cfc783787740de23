import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { ChunkJob, EncodableRecord } from '../chunk.js';
import type { DatabaseError } from '../errors.js';
import type { Logger } from '../logger.js';
import { redisErrorText } from '../redis/connection.js';
import type { DeadLetterJob, DeadLetterQueue } from '../redis/dead-letter-queue.js';
import { withDeadline } from '../redis/deadline.js';
import { NotCommitted } from './held-write.js';
import type { Sink, WriteRecord } from './sink.js';

/** The job that a record came in. */
export interface RecordOrigin {
  readonly jobId: string;
  readonly replays: number;
  /** When it was refused for the first time, if it is replayed; milliseconds since 1970. */
  readonly firstFailedAt?: number | undefined;
  readonly sink: Sink;
}

/** Why a record is refused; the message holds no value of it. */
export type RefusalReason = Pick<DatabaseError, 'message' | 'sqlState'> &
  Partial<Pick<DatabaseError, 'constraint' | 'column'>>;

/** A record that can never be written. */
export interface RefusedRecord {
  readonly record: WriteRecord;
  readonly origin: RecordOrigin;
  readonly error: RefusalReason;
}

const WORKER = `${hostname()}:${process.pid}`;
/** Dead letters on their way to Redis at once. */
const ADDS_IN_FLIGHT = 50;
const ADD_TIMEOUT_MS = 10_000;
const RETRY_MS = 1000;

/** Puts refused records among the dead letters, before their chunk is completed: until then, a crash brings all of it back. */
export class DeadLetterWriter {
  constructor(
    private readonly queue: DeadLetterQueue,
    private readonly logger: Logger,
    private readonly signal: AbortSignal,
  ) {}

  /** Resolves when all are kept, however long Redis is away. @throws NotCommitted when the writer gives up on what it holds */
  async write(refused: readonly RefusedRecord[]): Promise<void> {
    for (let from = 0; from < refused.length; from += ADDS_IN_FLIGHT) {
      await Promise.all(refused.slice(from, from + ADDS_IN_FLIGHT).map((one) => this.#persistently(one)));
    }
  }

  async #persistently(refused: RefusedRecord): Promise<void> {
    for (;;) {
      if (this.signal.aborted) throw new NotCommitted();
      try {
        await withDeadline(performance.now() + ADD_TIMEOUT_MS, this.#add(refused), 'keeping a dead letter');
        return;
      } catch (error) {
        this.logger.error({ error: redisErrorText(error) }, 'dead letter not kept; held and tried again');
        await delay(RETRY_MS, undefined, { signal: this.signal }).catch(() => {});
      }
    }
  }

  async #add({ record, origin, error }: RefusedRecord): Promise<void> {
    const { jobId, replays, sink, firstFailedAt } = origin;
    const { id, executionId } = sink.identify(record.body);
    const now = Date.now();
    const job: DeadLetterJob = {
      ...chunkJobOf(sink, record),
      id,
      executionId,
      sequence: record.sequence,
      replays,
      sqlState: error.sqlState ?? null,
      reason: error.message,
      ...(error.constraint !== undefined && { constraint: error.constraint }),
      ...(error.column !== undefined && { column: error.column }),
      firstFailedAt: firstFailedAt ?? now,
      lastFailedAt: now,
      jobId,
      worker: WORKER,
    };
    const deadLetterId = await this.queue.add(job, encodable(executionId, record.body));
    if (deadLetterId === undefined) return;
    this.logger.error(
      { deadLetterId, id, executionId, sqlState: error.sqlState, reason: error.message },
      'a record can never be written; it is kept among the dead letters',
    );
  }
}

function chunkJobOf(sink: Sink, { body }: WriteRecord): ChunkJob {
  return { sink: sink.name, target: sink.target, records: 1, bytes: body.length };
}

function encodable(executionId: string, body: Buffer): EncodableRecord {
  return {
    executionId,
    byteLength: body.length,
    writeTo: (buffer, offset) => void body.copy(buffer, offset),
  };
}
