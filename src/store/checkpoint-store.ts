import { types } from 'node:util';
import type { Checkpoint, CheckpointInput } from '../checkpoint.js';
import { validName } from '../checkpoint.js';
import { InvalidCheckpointError, InvalidConfigError } from '../errors.js';
import { checkOptions, type KnownKeys } from '../known-keys.js';
import { isWhole, isWithin } from '../numbers.js';
import type { WaitOptions } from './wait-limit.js';

/**
 * A place for checkpoints. All stores keep the same contract and differ in when a save is durable: `PostgresCheckpointStore`
 * returns when it is committed, `QueuedCheckpointStore` when Redis holds it, `MemoryCheckpointStore` forgets with its process.
 */
export interface CheckpointStore {
  /**
   * Saves a checkpoint, or saves it again: the highest version of an id wins, then the latest save.
   * @throws InvalidCheckpointError naming the field; VersionConflictError with `expectedVersion`
   */
  save(checkpoint: CheckpointInput, options?: SaveOptions): Promise<SaveReceipt>;
  /** @throws CheckpointNotFoundError */
  load(id: string, options?: ReadOptions): Promise<Checkpoint>;
  /** The newest checkpoint of an execution: by timestamp, then version, then order of saving. */
  latest(executionId: string, options?: ReadOptions): Promise<Checkpoint | undefined>;
  /** The checkpoints of an execution, oldest first: by timestamp, then version, then order of saving. */
  list(executionId: string, options?: ListOptions): Promise<Checkpoint[]>;
  /** Deletes a checkpoint; not an error if there is none. What was saved before never comes back. */
  delete(id: string): Promise<void>;
  /** Deletes all checkpoints of an execution. What was saved before never comes back. */
  clear(executionId: string): Promise<void>;
  /** Lets go of everything the store opened. Idempotent. */
  close(): Promise<void>;
}

export interface SaveOptions {
  /** `queued` (default): return when the save is acknowledged; `committed`: when PostgreSQL has it. */
  ack?: 'queued' | 'committed';
  /**
   * Save only if the stored version of this id is exactly this one, 0 to 2,147,483,647; nothing stored counts as version 0.
   * Otherwise VersionConflictError, and nothing is written. `version` then defaults to the one after it and must not be
   * below it; give none, or a higher one, so that of several savers who expect the same version one wins.
   *
   * Such a save goes straight to PostgreSQL, whatever its size, and is committed when `save` returns. What PostgreSQL holds
   * is compared: a save that still waits in a queue is not seen (read with `consistency: 'latest'` first), and replaces this
   * one when it arrives if its version is higher.
   */
  expectedVersion?: number;
}

/** Of a batch, whose saves stand each for itself, no version is compared: save those one by one. */
export type SaveBatchOptions = Omit<SaveOptions, 'expectedVersion'> & { expectedVersion?: never };

const SAVE_BATCH_OPTIONS = { ack: true } satisfies KnownKeys<Omit<SaveBatchOptions, 'expectedVersion'>>;
const SAVE_OPTIONS = { ...SAVE_BATCH_OPTIONS, expectedVersion: true } satisfies KnownKeys<SaveOptions>;

/** @throws InvalidConfigError naming the option */
export function checkSaveOptions(options: SaveOptions): void {
  checkOptions(options, SAVE_OPTIONS, 'save');
  checkAck(options);
}

/** @throws InvalidConfigError naming the option */
export function checkSaveBatchOptions(options: SaveBatchOptions): void {
  checkOptions(options, SAVE_BATCH_OPTIONS, 'saveBatch');
  checkAck(options);
}

function checkAck({ ack }: Pick<SaveOptions, 'ack'>): void {
  if (ack !== undefined && ack !== 'queued' && ack !== 'committed') {
    throw new InvalidConfigError('ack', "must be 'queued' or 'committed'");
  }
}

export type CommitOutcome = 'committed' | 'superseded' | 'deleted';

export interface SaveReceipt {
  readonly id: string;
  /** The save's place in the order of all saves and deletes; microseconds since 1970 or a little more. */
  readonly sequence: number;
  /**
   * Resolves when it is certain what became of the save: stored, not needed because a newer one is stored, or deleted. Without a limit it
   * waits as long as it takes, also where no worker runs.
   * @throws DeadLetteredError, WriteRefusedError, SaveLostError; PendingWritesTimeoutError at `timeoutMs`, with the reason where it is known;
   *   the reason of the signal; InvalidConfigError naming the option
   */
  committed(options?: WaitOptions): Promise<CommitOutcome>;
}

export interface ReadOptions {
  /**
   * `committed` (default): what PostgreSQL holds now; of a store with `readPostgres`, what that replica has received until now.
   * `latest`: wait until every save of the execution that was acknowledged before this call, by any process, is committed, and
   * read at the primary. The memory store is always at the latest, so is the plain one at its primary.
   */
  consistency?: 'committed' | 'latest';
  /** Of a store with `readPostgres`: read at the primary all the same. Default: only with `latest`. */
  atPrimary?: boolean;
  /** For `latest`: milliseconds until PendingWritesTimeoutError. Default 10,000; Infinity: as long as it takes. */
  timeoutMs?: number;
  /** For `load` with `latest`: the execution whose saves to wait for. */
  executionId?: string;
}

export interface ListOptions extends ReadOptions {
  /** At most this many, the oldest ones. Default: all. */
  limit?: number;
  /** Only checkpoints before this time, or before the checkpoint with this id in the order of the list; exclusive. */
  before?: Date | string;
  /** Likewise after. To page, give the id of the last checkpoint of the page before. */
  after?: Date | string;
}

const READ_OPTIONS = {
  consistency: true,
  atPrimary: true,
  timeoutMs: true,
  executionId: true,
} satisfies KnownKeys<ReadOptions>;
const LIST_OPTIONS = {
  ...READ_OPTIONS,
  limit: true,
  before: true,
  after: true,
} satisfies KnownKeys<ListOptions>;

/** @throws InvalidConfigError naming the option */
export function checkReadOptions(options: ReadOptions, of: 'load' | 'latest'): void {
  checkOptions(options, READ_OPTIONS, of);
  checkRead(options);
}

/** @throws InvalidCheckpointError, InvalidConfigError naming the option */
export function checkListOptions(executionId: string, options: ListOptions): void {
  checkOptions(options, LIST_OPTIONS, 'list');
  checkRead(options);
  validName('executionId', executionId);
  const { limit, before, after } = options;
  if (limit !== undefined && !isWhole(limit, 0)) {
    throw new InvalidCheckpointError('limit', 'must be a whole number of at least 0');
  }
  for (const [field, bound] of Object.entries({ before, after })) {
    if (bound === undefined) continue;
    if (types.isDate(bound)) {
      if (Number.isNaN(bound.getTime())) throw new InvalidCheckpointError(field, 'is an invalid date');
    } else validName(field, bound);
  }
}

function checkRead({ consistency, timeoutMs, executionId }: ReadOptions): void {
  if (consistency !== undefined && consistency !== 'committed' && consistency !== 'latest') {
    throw new InvalidConfigError('consistency', "must be 'committed' or 'latest'");
  }
  if (timeoutMs !== undefined && !isWithin(timeoutMs, 0)) {
    throw new InvalidConfigError('timeoutMs', 'must be a number of at least 0');
  }
  if (executionId !== undefined) validName('executionId', executionId);
}

/** Of several checkpoints of one id saved together, the one that stays: the highest version, then the last. */
export function newestOfEachId<T extends { id: string; version: number }>(checkpoints: readonly T[]): T[] {
  const newest = new Map<string, T>();
  for (const checkpoint of checkpoints) {
    const other = newest.get(checkpoint.id);
    if (!other || other.version <= checkpoint.version) newest.set(checkpoint.id, checkpoint);
  }
  return [...newest.values()];
}
