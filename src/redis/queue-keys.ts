import { InvalidConfigError } from '../errors.js';

/** Which BullMQ queue. */
export interface QueueName {
  readonly queue: string;
  readonly prefix: string;
}

export const DEFAULT_QUEUE = 'checkpoint-writes';
/** BullMQ's own default. A Redis Cluster needs a hash tag here, such as `{ckpt}`. */
export const DEFAULT_PREFIX = 'bull';

/** The Redis keys of one queue. All start as BullMQ's own do, so that with a hash tag they share a cluster slot. */
export interface QueueKeys extends QueueName {
  /** The last sequence that was given out. */
  readonly sequence: string;
  /** Sorted set of the job ids whose chunk is not known to be committed, by their first sequence. */
  readonly chunks: string;
  /** Sorted set of the pending marks, `execution NUL job id`, all of score 0: searched by their beginning. */
  readonly marks: string;
  /** Hash: records committed, superseded, deleted, and batches, since the queue was made. */
  readonly counters: string;
  /** BullMQ's lists of waiting jobs and of those in a worker's hands, its set of failed ones, and what it keeps of the queue. */
  readonly waiting: string;
  readonly active: string;
  /** Where BullMQ keeps jobs that are not done, in the order of `QUEUE_DEPTH`. */
  readonly undone: readonly string[];
  /** The sorted sets with all its other jobs. */
  readonly ended: readonly string[];
  readonly failed: string;
  /** In a dead-letter queue: BullMQ's sorted set with its jobs. */
  readonly deadLetterJobs: string | undefined;
  readonly meta: string;
  /** What wakes BullMQ's idle workers. */
  readonly marker: string;
  /** Before a job id: BullMQ's job hash, and the chunk beside it. */
  readonly jobPrefix: string;
  readonly payloadPrefix: string;
  /** Before the token of a reservation: its first sequence, for a retry whose first reply was lost. */
  readonly reservedPrefix: string;
  /** Before the id of a job whose writers died: a hash of how many, in the middle of writing the chunk or one record. */
  readonly deathsPrefix: string;
  /** Hash of the worker replicas, by name. */
  readonly workers: string;
}

/** The queue of the dead letters of `orders` is `orders-dead`, that of its retention `orders-retention`. */
const DEAD_LETTER_SUFFIX = '-dead';
const RETENTION_SUFFIX = '-retention';

/** @throws InvalidConfigError naming `queue` or `prefix`. */
export function queueKeys({ queue = DEFAULT_QUEUE, prefix = DEFAULT_PREFIX }: Partial<QueueName>): QueueKeys {
  if (typeof queue !== 'string' || !/^[^:\s\0]{1,200}$/.test(queue)) {
    throw new InvalidConfigError('queue', 'must be 1 to 200 characters without colon and white space');
  }
  if (queue.endsWith(DEAD_LETTER_SUFFIX)) {
    throw new InvalidConfigError(
      'queue',
      `must not end in ${DEAD_LETTER_SUFFIX}: dead letters are kept there`,
    );
  }
  if (queue.endsWith(RETENTION_SUFFIX)) {
    throw new InvalidConfigError(
      'queue',
      `must not end in ${RETENTION_SUFFIX}: the runs of a retention are kept there`,
    );
  }
  if (typeof prefix !== 'string' || prefix === '' || prefix.includes('\0')) {
    throw new InvalidConfigError('prefix', 'must be a string that is not empty');
  }
  return keysOf(queue, prefix);
}

/** The dead letters of a queue: a queue of its own beside it, each job with a payload and a mark as a chunk has them. */
export function deadLetterKeys({ queue, prefix }: QueueName): QueueKeys {
  return keysOf(queue + DEAD_LETTER_SUFFIX, prefix, true);
}

/** The queue in which the runs of a queue's retention are scheduled, and BullMQ's sorted set of its schedulers. */
export function retentionQueue({ queue, prefix }: QueueName): {
  name: string;
  prefix: string;
  schedulers: string;
} {
  const name = queue + RETENTION_SUFFIX;
  return { name, prefix, schedulers: `${prefix}:${name}:repeat` };
}

function keysOf(queue: string, prefix: string, isDeadLetterQueue = false): QueueKeys {
  const base = `${prefix}:${queue}:`;
  return Object.freeze({
    queue,
    prefix,
    sequence: `${base}ckpt-sequence`,
    chunks: `${base}ckpt-chunks`,
    marks: `${base}ckpt-marks`,
    counters: `${base}ckpt-counters`,
    waiting: `${base}wait`,
    active: `${base}active`,
    undone: ['wait', 'paused', 'active', 'delayed', 'prioritized'].map((state) => base + state),
    ended: ['failed', 'completed', 'waiting-children'].map((state) => base + state),
    failed: `${base}failed`,
    deadLetterJobs: isDeadLetterQueue ? `${base}prioritized` : undefined,
    meta: `${base}meta`,
    marker: `${base}marker`,
    jobPrefix: base,
    payloadPrefix: `${base}ckpt-payload-`,
    reservedPrefix: `${base}ckpt-reserved-`,
    deathsPrefix: `${base}ckpt-deaths-`,
    workers: `${base}ckpt-workers`,
  });
}

/** What the records of a job are for, as the job says: a sink and the table that it writes. */
export interface Destination {
  readonly sink: string;
  readonly target: string;
}

export function destinationOf({ name, target }: { name: string; target: string }): Destination {
  return { sink: name, target };
}

/** A pending mark. One that an earlier release made names no destination. */
export interface Mark {
  readonly jobId: string;
  readonly destination?: Destination | undefined;
}

/** Neither an execution id nor the name of a sink or a table ever holds U+0000. */
const MARK_SEPARATOR = '\0';

/** The execution has records in this job: `execution NUL sink NUL target NUL job id`. */
export function markOf(executionId: string, jobId: string, destination?: Destination): string {
  return `${markPrefix(executionId, destination)}${jobId}`;
}

/** What the marks of an execution for this destination begin with. */
export function markPrefix(executionId: string, destination?: Destination): string {
  return `${executionId}${MARK_SEPARATOR}${destinationPrefix(destination)}`;
}

/** What stands between execution and job id. */
export function destinationPrefix(destination: Destination | undefined): string {
  if (!destination) return '';
  return `${destination.sink}${MARK_SEPARATOR}${destination.target}${MARK_SEPARATOR}`;
}

/** Bounds for ZRANGEBYLEX over the marks of one execution. */
export function marksOf(executionId: string): [from: string, to: string] {
  return [`[${executionId}${MARK_SEPARATOR}`, `(${executionId}\x01`];
}

export function parseMark(mark: string): Mark {
  const [, ...rest] = mark.split(MARK_SEPARATOR);
  const [sink, target, jobId] = rest;
  if (rest.length !== 3) return { jobId: rest.at(-1) ?? mark };
  return { jobId: jobId as string, destination: { sink: sink as string, target: target as string } };
}

export function jobIdOfMark(mark: string): string {
  return mark.slice(mark.lastIndexOf(MARK_SEPARATOR) + 1);
}

/** Whether the mark may be of a record for this destination: one that names none may be of any. */
export function mayBeFor({ destination }: Mark, wanted: Destination): boolean {
  return !destination || isSameDestination(destination, wanted);
}

export function isSameDestination(a: Destination, b: Destination): boolean {
  return a.sink === b.sink && a.target === b.target;
}
