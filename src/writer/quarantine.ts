import type { Cluster, Redis } from 'ioredis';
import { CheckpointQueueError } from '../errors.js';
import type { Logger } from '../logger.js';
import type { QueueKeys } from '../redis/queue-keys.js';
import type { BatchCommitter, WriteAround } from './batch-committer.js';
import type { Chunk, PlacedRecord } from './chunk-reader.js';
import { SetAside } from './persistent-commit.js';

/** A job whose worker has died so often while it had it goes into quarantine. Most such jobs were mere bystanders. */
export const SUSPICIOUS_STALLS = 3;
/** Workers that may die while they write nothing but this chunk, before it is written record by record. */
const CHUNK_DEATHS = 2;
/** Workers that may die while they write nothing but this record, before it counts as what kills them. */
const RECORD_DEATHS = 3;
const CHUNK = 'chunk';
/** Longer than anybody lets workers die. */
const TTL_SECONDS = 7 * 24 * 3600;

/** A record that has killed every worker that tried it. */
class CrashesWriterError extends CheckpointQueueError {
  readonly sqlState = undefined;

  constructor() {
    super('CRASHES_WRITER', 'crashes the writer');
  }
}

/**
 * Where chunks are written whose workers keep dying: one at a time and alone, then record by record, until the one record that
 * kills them is known and can be kept as a dead letter. Deaths are counted in Redis, and only those in the middle of a write: a
 * mark is set before and taken back when it returned, however it ended. So outages and restarts convict nobody.
 */
export class Quarantine {
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly client: Redis | Cluster,
    private readonly keys: QueueKeys,
    private readonly committer: BatchCommitter,
    private readonly logger: Logger,
  ) {}

  /** Writes a chunk when all that came before it are done. @throws SetAside, NotCommitted: see `BatchCommitter.write` */
  write(jobId: string, chunk: Chunk): Promise<void> {
    const writing = this.#last.then(() => this.#write(jobId, chunk));
    this.#last = writing.catch(() => {}); // told to who waits for it
    return writing;
  }

  async #write(jobId: string, chunk: Chunk): Promise<void> {
    const key = `${this.keys.deathsPrefix}${jobId}`;
    const deaths = await this.client.hgetall(key);
    const diedOn = (field: string) => Number(deaths[field] ?? 0);
    if (diedOn(CHUNK) < CHUNK_DEATHS) {
      await this.committer.write(chunk.records, this.#counting(key, CHUNK));
    } else {
      this.logger.warn(
        { jobId, records: chunk.records.length },
        'writers died of this job; record by record',
      );
      const [deadly, others] = partition(
        chunk.records,
        ({ sequence }) => diedOn(String(sequence)) >= RECORD_DEATHS,
      );
      let setAside: SetAside | undefined;
      for (const record of others) {
        try {
          await this.committer.write([record], this.#counting(key, String(record.sequence)));
        } catch (error) {
          if (!(error instanceof SetAside)) throw error;
          setAside = error;
        }
      }
      await this.committer.bury(deadly.map((item) => ({ item, error: new CrashesWriterError() })));
      if (setAside) throw setAside;
    }
    await this.client.unlink(key);
  }

  #counting(key: string, field: string): WriteAround {
    return async (write) => {
      await this.client.hincrby(key, field, 1);
      await this.client.expire(key, TTL_SECONDS);
      try {
        await write();
      } finally {
        await this.client.hincrby(key, field, -1);
      }
    };
  }
}

function partition(
  records: readonly PlacedRecord[],
  test: (record: PlacedRecord) => boolean,
): [PlacedRecord[], PlacedRecord[]] {
  return [records.filter(test), records.filter((record) => !test(record))];
}
