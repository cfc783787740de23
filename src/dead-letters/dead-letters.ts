import type { CheckpointInput } from '../checkpoint.js';
import { ClosedError, DeadLetterBusyError, DeadLetterNotFoundError, InvalidChunkError } from '../errors.js';
import { checkOptions } from '../known-keys.js';
import { type Logger, silentLogger } from '../logger.js';
import { Database } from '../postgres/database.js';
import { tableNames } from '../postgres/identifiers.js';
import { RedisConnection, throttledErrorLog } from '../redis/connection.js';
import type { DeadLetterJob, DeadLetterRecord } from '../redis/dead-letter-job.js';
import { DeadLetterQueue } from '../redis/dead-letter-queue.js';
import { withDeadline } from '../redis/deadline.js';
import { queueKeys } from '../redis/queue-keys.js';
import { askWithin } from '../redis/retry.js';
import { CheckpointTable } from '../store/checkpoint-table.js';
import { CommitWatcher } from '../store/commit-watcher.js';
import { type DeadLetter, deadLetterOf } from './dead-letter.js';
import {
  checkFilter,
  checkSelection,
  type DeadLetterFilter,
  type DeadLetterSelection,
} from './dead-letter-filter.js';
import { type DeadLetterLine, type ImportableLetter, lineOf } from './dead-letter-lines.js';
import { DeadLetterReader } from './dead-letter-reader.js';
import {
  checkedGet,
  checkedList,
  DEAD_LETTERS_OPTIONS,
  type DeadLettersOptions,
  type GetDeadLetterOptions,
  type ListDeadLettersOptions,
  PURGE_OPTIONS,
  type PurgeOptions,
  replayLimits,
} from './dead-letters-options.js';
import { editedLetter } from './edited.js';
import { type ImportResult, importLines } from './import-lines.js';
import { replayMany } from './replay-many.js';
import {
  checkEditOptions,
  checkReplayOptions,
  DEFAULT_WAIT_TIMEOUT_MS,
  NOTHING_REPLAYED,
  REPLAY_OPTIONS,
  type ReplayOptions,
  type ReplayResult,
  type ReplayWaitOptions,
} from './replay-options.js';
import { ReplayOutcomes } from './replay-outcomes.js';
import { Replayer } from './replayer.js';
import { countSelected, selectedLetters } from './selected-letters.js';

const TIMEOUT_MS = 10_000;
/** Dead letters in memory that are about to be purged. */
const PURGE_PAGE = 500;

/**
 * The records that PostgreSQL refused for good: to look at, to mend, to replay when the reason is gone, or to give up.
 *
 * A replay is safe to break off, to repeat and to run twice at once. The record keeps its place in the order of all saves and
 * deletes, so that a newer save stays, and what was deleted since stays deleted. In the order of sequences and page by page:
 * a hundred thousand dead letters need no more memory than a thousand.
 *
 * Every method throws QueueUnavailableError without Redis and ClosedError after `close`.
 */
export class DeadLetters {
  readonly #logger: Logger;
  readonly #connection: RedisConnection;
  readonly #database: Database | undefined;
  readonly #queue: DeadLetterQueue;
  readonly #reader: DeadLetterReader;
  readonly #watcher: CommitWatcher;
  readonly #replayer: Replayer;
  readonly #outcomes: ReplayOutcomes;
  readonly #underWay = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  /** @throws InvalidConfigError naming the option. Connects to PostgreSQL when it is first asked. */
  constructor(options: DeadLettersOptions) {
    checkOptions(options, DEAD_LETTERS_OPTIONS, 'DeadLetters');
    const { postgres, logger = silentLogger } = options;
    const limits = replayLimits(options);
    const keys = queueKeys(options);
    const names = tableNames(options);
    this.#logger = logger;
    this.#database = postgres === undefined ? undefined : new Database(postgres, { logger, max: 1 });
    this.#connection = new RedisConnection(options.redis, keys, 'commands', logger);
    const onError = throttledErrorLog(logger, 'queue error');
    this.#queue = new DeadLetterQueue(this.#connection.client, keys, onError);
    this.#reader = new DeadLetterReader(this.#connection, keys);
    this.#watcher = new CommitWatcher(this.#connection, keys);
    this.#replayer = new Replayer({ ...limits, connection: this.#connection, keys, logger });
    const table = this.#database && new CheckpointTable(this.#database, names);
    this.#outcomes = new ReplayOutcomes(this.#watcher, this.#reader, table && { table, target: names.label });
  }

  /** By sequence, which is the order of saving, then by replays. @throws InvalidFilterError naming the field */
  async list(options: ListDeadLettersOptions = {}): Promise<DeadLetter[]> {
    this.#assertOpen();
    const { limit, after, filter } = checkedList(options);
    const found: DeadLetter[] = [];
    if (limit === 0) return found;
    for await (const letter of this.#reader.letters(filter, { after, pageSize: limit })) {
      found.push(deadLetterOf(letter));
      if (found.length === limit) break;
    }
    return found;
  }

  /**
   * Undefined if there is none of this id. Here as in `replay`, `edit` and `purge`, an id goes on naming its dead letter after a replay
   * that was refused again has given it another one.
   * @throws InvalidFilterError naming the option; InvalidChunkError if the payload is lost or not readable
   */
  async get(deadLetterId: string, options: GetDeadLetterOptions = {}): Promise<DeadLetter | undefined> {
    this.#assertOpen();
    const { payload = false } = checkedGet(options);
    let letter = await this.#reader.get(deadLetterId);
    while (letter && payload) {
      const chunk = await this.#reader.payload(letter.deadLetterId);
      if (chunk) return deadLetterOf(letter, chunk);
      const before = letter;
      letter = await this.#reader.get(deadLetterId);
      // Otherwise it was removed or replayed in between.
      if (letter?.deadLetterId === before.deadLetterId) {
        throw new InvalidChunkError('its payload is gone from Redis');
      }
    }
    return letter && deadLetterOf(letter);
  }

  /** @throws InvalidFilterError naming the field */
  async count(filter: DeadLetterFilter = {}): Promise<number> {
    this.#assertOpen();
    checkFilter(filter);
    return this.#reader.count(filter);
  }

  /**
   * Puts records into the queue again, with their old sequences, and takes them out of the dead letters; then waits for the
   * workers. What is refused again is a dead letter again, with one replay more.
   * @throws InvalidFilterError naming the field; BackpressureError where the queue stays full for 30 s; DatabaseError. What
   *   was replayed until then is in the queue
   */
  async replay(options: DeadLetterSelection & ReplayOptions): Promise<ReplayResult> {
    this.#assertOpen();
    return this.#during(this.#replay(options));
  }

  async #replay(options: DeadLetterSelection & ReplayOptions): Promise<ReplayResult> {
    checkSelection(options, { of: 'replay', options: REPLAY_OPTIONS });
    checkReplayOptions(options);
    const { ids, filter, dryRun = false, ratePerSecond, onProgress, onOutcome, signal } = options;
    if (dryRun) return { ...NOTHING_REPLAYED, replayed: await countSelected(this.#reader, options) };
    const total = onProgress ? (ids?.length ?? (await this.#reader.count(filter ?? {}))) : 0;
    const { replayed, skipped } = await replayMany({
      letters: selectedLetters(this.#reader, options),
      replayOne: (job) => this.#replayer.replay(job, { signal }),
      ratePerSecond,
      signal,
      stopped: () => signal?.aborted === true || this.#closing !== undefined,
      onEnd: (counts) => onProgress?.({ ...counts, done: counts.replayed + counts.skipped, total }),
      onSkip: ({ deadLetterId, letter }) =>
        onOutcome?.({ deadLetterId, id: letter?.job.id, outcome: 'skipped' }),
    });
    return this.#result(replayed, skipped, options);
  }

  /**
   * Replaces a refused checkpoint by a better one, and replays it in the old one's place. Where that place has been taken by a
   * newer save, or a delete, it comes too late as the old one would.
   * @throws InvalidCheckpointError naming the field: id and execution must be those of the dead letter;
   *   DeadLetterNotFoundError; DeadLetterBusyError if it is being replayed
   */
  async edit(
    deadLetterId: string,
    checkpoint: CheckpointInput,
    options: ReplayWaitOptions = {},
  ): Promise<ReplayResult> {
    this.#assertOpen();
    return this.#during(this.#edit(deadLetterId, checkpoint, options));
  }

  async #edit(
    deadLetterId: string,
    checkpoint: CheckpointInput,
    options: ReplayWaitOptions,
  ): Promise<ReplayResult> {
    checkEditOptions(options);
    const letter = await this.#reader.get(deadLetterId);
    if (!letter) throw new DeadLetterNotFoundError(deadLetterId);
    const { job, payload } = editedLetter(letter.job, checkpoint);
    const end = await this.#replayer.replay(job, { payload });
    if (end === 'busy') throw new DeadLetterBusyError(deadLetterId);
    if (end === 'skipped') throw new DeadLetterNotFoundError(deadLetterId);
    return this.#result([job], 0, options);
  }

  /** Gives dead letters up, for good. @returns how many. @throws InvalidFilterError naming the field */
  async purge(options: DeadLetterSelection & PurgeOptions): Promise<number> {
    this.#assertOpen();
    return this.#during(this.#purge(options));
  }

  async #purge(options: DeadLetterSelection & PurgeOptions): Promise<number> {
    checkSelection(options, { of: 'purge', options: PURGE_OPTIONS });
    if (options.dryRun) return countSelected(this.#reader, options);
    let removed = 0;
    let page: DeadLetterRecord[] = [];
    const removePage = async () => {
      const letters = page;
      page = [];
      removed += await askWithin(TIMEOUT_MS, () => this.#queue.remove(letters), 'purging dead letters');
    };
    for await (const { letter } of selectedLetters(this.#reader, options)) {
      this.#assertOpen();
      if (letter) page.push(letter);
      if (page.length === PURGE_PAGE) await removePage();
    }
    await removePage();
    return removed;
  }

  /**
   * Every dead letter with its record, as objects for `JSON.stringify`: states and metadata are in them. What is removed or
   * added meanwhile may be left out. @throws InvalidFilterError naming the field; InvalidChunkError
   */
  async *export(filter: DeadLetterFilter = {}): AsyncGenerator<DeadLetterLine> {
    this.#assertOpen();
    checkFilter(filter);
    for await (const { deadLetterId, job } of this.#reader.letters(filter)) {
      this.#assertOpen();
      const chunk = await this.#reader.payload(deadLetterId);
      if (chunk) yield lineOf(deadLetterId, job, chunk);
    }
  }

  /**
   * Puts exported dead letters back under their ids; those that are there stay as they are, so that it may be repeated. Takes
   * objects, or their JSON text; empty text is passed over.
   *
   * Deletes are remembered as long as dead letters from before them are kept here, but not for those in a file: what was
   * deleted longer than the writers' `tombstoneDays` ago can come back from an older export.
   * @throws InvalidDeadLetterError naming line and field; the lines before it are imported
   */
  async import(lines: AsyncIterable<unknown> | Iterable<unknown>): Promise<ImportResult> {
    this.#assertOpen();
    const restore = ({ job, record }: ImportableLetter) =>
      askWithin(TIMEOUT_MS, () => this.#queue.restore(job, record), 'importing a dead letter');
    return this.#during(importLines(lines, restore, () => this.#assertOpen()));
  }

  /** Stops replays between two dead letters, and lets go of what was opened. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#watcher.close();
    await Promise.allSettled(this.#underWay);
    const closing = Promise.all([this.#queue.close(), this.#replayer.close()]);
    await withDeadline(performance.now() + TIMEOUT_MS, closing, 'closing').catch(() => {
      this.#logger.warn({}, 'the queue of the dead letters did not close cleanly');
    });
    this.#connection.close();
    await this.#database?.close();
  }

  async #result(
    replayed: readonly DeadLetterJob[],
    skipped: number,
    { wait = true, waitTimeoutMs = DEFAULT_WAIT_TIMEOUT_MS, signal, onOutcome }: ReplayOptions,
  ): Promise<ReplayResult> {
    const counts =
      wait && !this.#closing
        ? await this.#outcomes.count(replayed, waitTimeoutMs, { signal, onOutcome })
        : { pending: replayed.length };
    return { ...NOTHING_REPLAYED, ...counts, replayed: replayed.length, skipped };
  }

  async #during<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work);
    try {
      return await work;
    } finally {
      this.#underWay.delete(work);
    }
  }

  #assertOpen(): void {
    if (this.#closing) throw new ClosedError('dead letters');
  }
}
