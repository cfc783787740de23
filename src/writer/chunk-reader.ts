import type { Job } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import { type ChunkJob, decodeChunk, parseJobId } from '../chunk.js';
import { InvalidChunkError, MisroutedChunkError } from '../errors.js';
import { isLabel } from '../postgres/identifiers.js';
import type { RedisClock } from '../redis/clock.js';
import { type Destination, destinationOf, type QueueKeys } from '../redis/queue-keys.js';
import { highestSequence } from '../redis/sequence.js';
import type { RecordOrigin } from './dead-letter-writer.js';
import type { Sink, WriteRecord } from './sink.js';

/** A record with the job that it came in. */
export interface PlacedRecord extends WriteRecord {
  readonly origin: RecordOrigin;
}

/** A chunk in a writer's hands. */
export interface Chunk {
  readonly records: PlacedRecord[];
  /** The executions with a pending mark for it. */
  readonly executions: string[];
  readonly destination: Destination;
  readonly bytes: number;
}

export class MissingPayloadError extends InvalidChunkError {
  /**
   * @param isDone the index does not know it either: a producer or worker added the job once more after it was done, by a command that was
   *   on its way for long. Not said of a replay, which looks for such a job among the failed ones before it gives up its dead letter
   */
  constructor(readonly isDone: boolean) {
    super('its payload is gone from Redis');
  }
}

/** Turns jobs into chunks, and trusts none of them: anybody may have put it into the queue. */
export class ChunkReader {
  constructor(
    private readonly client: Redis | Cluster,
    private readonly keys: QueueKeys,
    private readonly sinks: ReadonlyMap<string, Sink>,
    private readonly clock: Pick<RedisClock, 'nowUs' | 'adjusted'>,
  ) {}

  /** @throws InvalidChunkError if nobody can read it, MisroutedChunkError if another writer might */
  async read(job: Job<ChunkJob, void>): Promise<Chunk> {
    const { firstSequence, replays } = parseJobId(job.id);
    const sink = this.#sinkOf(job);
    const jobId = job.id as string;
    const payload = await this.client.getBuffer(this.keys.payloadPrefix + jobId);
    if (!payload) {
      // Whoever removes or restores one of the two does it with the other, in one step.
      const indexed = await this.client.zscore(this.keys.chunks, jobId);
      throw new MissingPayloadError(indexed === null && replays === 0);
    }
    const { executions, bodies } = decodeChunk(payload);
    this.#checkSequence(firstSequence + bodies.length - 1);
    for (const body of bodies) sink.check(body);
    const origin: RecordOrigin = { jobId, replays, sink, firstFailedAt: job.data.firstFailedAt };
    const records = bodies.map((body, index) => ({ body, sequence: firstSequence + index, origin }));
    return { records, executions, destination: destinationOf(sink), bytes: payload.length };
  }

  /** A row numbered far ahead would make every later save of the same version look older. */
  #checkSequence(lastSequence: number): void {
    const highest = this.clock.adjusted ? highestSequence(this.clock.nowUs()) : Number.MAX_SAFE_INTEGER;
    if (lastSequence <= highest) return;
    throw new InvalidChunkError(
      "its sequence is damaged, or more than a day ahead of Redis' clock: run ckpt doctor, then ckpt repair",
    );
  }

  #sinkOf(job: Job<ChunkJob, void>): Sink {
    const { sink: name, target } = job.data ?? {};
    if (typeof name !== 'string') throw new InvalidChunkError('the job names no sink');
    const sink = this.sinks.get(name);
    if (!sink) throw new MisroutedChunkError(`this worker has no sink ${named(name)}: see its option sinks`);
    if (sink.target !== target) {
      throw new MisroutedChunkError(`it is for table ${named(target)}, this worker writes ${sink.target}`);
    }
    return sink;
  }
}

/** A name out of a job that anybody may have made: told only if it is one. */
function named(name: unknown): string {
  const isName = typeof name === 'string' && (/^[\w.$-]{1,128}$/.test(name) || isLabel(name));
  return isName ? name : '(not a name)';
}
