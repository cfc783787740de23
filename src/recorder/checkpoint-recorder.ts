import { randomUUID } from 'node:crypto';
import type { Checkpoint } from '../checkpoint.js';
import { type CloseOptions, deadlineOf } from '../close-options.js';
import {
  BackpressureError,
  CheckpointNotFoundError,
  ClosedError,
  DeadLetteredError,
  InvalidCheckpointError,
} from '../errors.js';
import type { JsonValue } from '../json.js';
import type { CheckpointStore, ListOptions, ReadOptions, SaveReceipt } from '../store/checkpoint-store.js';
import { Interval } from './interval.js';
import { KeepNewest } from './keep-newest.js';
import {
  type BackgroundFailure,
  type CheckpointRecorderOptions,
  recorderSettings,
} from './recorder-options.js';
import { Snapshots } from './snapshots.js';
import { parseState } from './state-schema.js';
import { mergedState } from './state-update.js';
import { type Taken, taken } from './taken.js';
import { Turns } from './turns.js';

/** Where to go on from. */
export interface Resumed<S> {
  readonly state: S;
  /** The node after which the state was taken: go on with the next one. */
  readonly nodeName: string;
  readonly version: number;
  /** As it is stored. */
  readonly checkpoint: Checkpoint;
}

const LATEST = { consistency: 'latest' } as const;
/** An agent that is so far ahead of its store should learn of it; what is held meanwhile is bounded. */
const MAX_UNACKNOWLEDGED_SAVES = 1000;

/**
 * What an agent loop holds: saves its state after nodes, and gives it back to go on from. Works on any `CheckpointStore`, for one
 * execution, whose versions it counts up: where others have recorded before, from theirs on.
 *
 * Saves are in the order of the calls, and each takes the state as it is at the call. `afterNode` returns at once and saves in the
 * background; all else is awaited, sees what was given before, and first saves a state that waits for its interval.
 *
 * One recorder at a time for an execution: two that save at once give the same versions, and the later clock wins.
 */
export class CheckpointRecorder<S = unknown> {
  /** The run that is recorded; give it to the recorder that goes on with it. */
  readonly executionId: string;
  readonly #options: CheckpointRecorderOptions<S>;
  readonly #store: CheckpointStore;
  readonly #autoSave: boolean;
  readonly #onError: (error: Error, failure: BackgroundFailure) => void;
  readonly #turns = new Turns();
  readonly #snapshots: Snapshots;
  readonly #interval: Interval<Taken>;
  readonly #limit: KeepNewest | undefined;
  /** The last one that is given out; undefined until it is known what is stored. */
  #version: number | undefined;
  /** In milliseconds since 1970. No checkpoint gets an earlier one than its predecessor, whatever the clocks say. */
  #timestamp = Number.NEGATIVE_INFINITY;
  #lookingUp = false;
  #lookUpError: unknown;
  #closing: Promise<void> | undefined;

  /** @throws InvalidConfigError naming the option; InvalidCheckpointError for `executionId` */
  constructor(options: CheckpointRecorderOptions<S>) {
    const { autoSave, saveIntervalMs, maxCheckpoints, onError } = recorderSettings(options);
    this.#options = options;
    this.#store = options.store;
    this.executionId = options.executionId ?? randomUUID();
    if (options.executionId === undefined) this.#version = 0;
    this.#snapshots = new Snapshots(this.executionId);
    this.#autoSave = autoSave;
    this.#onError = onError;
    this.#interval = new Interval(saveIntervalMs, (state) => this.#saveInBackground(state));
    this.#limit =
      maxCheckpoints === undefined
        ? undefined
        : new KeepNewest({
            store: this.#store,
            executionId: this.executionId,
            count: maxCheckpoints,
            mayExist: options.executionId !== undefined,
            onRefused: (error, nodeName) => this.#report(error, { action: 'save', nodeName }),
            onError: (error) => this.#report(error, { action: 'trim' }),
          });
  }

  /**
   * To be called after each node. With `autoSave` saves the state; otherwise at most once in `saveIntervalMs`: of what comes
   * meanwhile, the newest is saved when the interval is over, or at `close`. Never throws: what fails, an unusable state too,
   * reaches `onError`. A save at an interval that fails is tried again at the next, unless there is a newer state.
   */
  afterNode(nodeName: string, state: S): void {
    try {
      this.#assertOpen();
      if (this.#autoSave) void this.#saveInBackground(taken(nodeName, state, 'auto'));
      else this.#interval.offer(this.#snapshots.of(taken(nodeName, state, 'interval')));
    } catch (error) {
      this.#report(error, { action: 'save', nodeName });
    }
  }

  /**
   * Saves now, and returns when the store has acknowledged it.
   * @throws what the store's `save` throws; ClosedError; BackpressureError with 1,000 saves or 64 MiB of states under way
   */
  async save(nodeName: string, state: S): Promise<SaveReceipt> {
    this.#flush();
    return this.#save(taken(nodeName, state, 'manual'));
  }

  /**
   * Saves the newest state with `values` in it, as if `asNode` had returned it. Updates and saves follow one upon the other, so
   * none is lost: what is saved meanwhile waits.
   * @param values taken as JSON, at the call
   * @param reducer makes the new state, from undefined where nothing is stored. Default: the properties of `values` replace
   *   those of the state; where one of the two is no object, `values` replaces the state
   * @throws StateMismatchError where the stored or the new state does not fit the schema, and nothing is saved; what the reducer,
   *   or the store's `latest` and `save` throw
   */
  async updateState<V>(
    values: V,
    asNode: string,
    reducer?: (state: S | undefined, values: V) => S,
  ): Promise<SaveReceipt> {
    this.#flush();
    const kept = this.#snapshots.keep(taken(asNode, values, 'update'));
    return this.#turns.alone(async () => {
      const { state: given } = kept();
      const newest = await this.#lookUp();
      const state = reducer
        ? reducer(newest && parseState(this.#options.schema, newest), given as V)
        : mergedState(newest?.state, given as JsonValue);
      const updated = this.#snapshots.of(taken(asNode, state, 'update'));
      parseState(this.#options.schema, { state: updated.state });
      return this.#write(updated);
    });
  }

  /** The checkpoints of the execution, oldest first. @throws what the store's `list` throws; ClosedError */
  async list(options: ListOptions = {}): Promise<Checkpoint[]> {
    await this.#afterSaves();
    return this.#store.list(this.executionId, { ...LATEST, ...options });
  }

  /** The newest checkpoint of the execution. @throws what the store's `latest` throws; ClosedError */
  async latest(options: ReadOptions = {}): Promise<Checkpoint | undefined> {
    await this.#afterSaves();
    return this.#store.latest(this.executionId, { ...LATEST, ...options });
  }

  /**
   * The newest checkpoint to go on from, or undefined where nothing is stored; with an id that checkpoint. What is saved
   * next is the newest in either case.
   * @throws StateMismatchError naming where the state does not fit the schema; CheckpointNotFoundError where the execution has no
   *   checkpoint of this id; what the store's `latest` and `load` throw: DeadLetteredError where the newest save was refused
   */
  resume(): Promise<Resumed<S> | undefined>;
  resume(checkpointId: string): Promise<Resumed<S>>;
  resume(checkpointId?: string): Promise<Resumed<S> | undefined>;
  async resume(checkpointId?: string): Promise<Resumed<S> | undefined> {
    await this.#afterSaves();
    const checkpoint = await (checkpointId === undefined ? this.#lookUp() : this.#load(checkpointId));
    if (!checkpoint) return undefined;
    const { nodeName, version } = checkpoint;
    return { state: parseState(this.#options.schema, checkpoint), nodeName, version, checkpoint };
  }

  /** Deletes all checkpoints of the execution. @throws what the store's `clear` throws; ClosedError */
  async clear(): Promise<void> {
    this.#flush();
    await this.#turns.alone(async () => {
      await this.#store.clear(this.executionId);
      this.#version ??= 0;
    });
  }

  /**
   * Saves the state that waits for its interval and lets all that was called come to its end; with `maxCheckpoints`, waits until
   * old ones are deleted, `deadlineMs` at most. What fails reaches `onError`. Idempotent. Close the store after it.
   * @throws InvalidConfigError naming the option, and closes nothing
   */
  async close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(deadlineOf(options));
    await this.#closing;
  }

  async #close(deadlineMs: number): Promise<void> {
    await this.#interval.close();
    await this.#turns.settled();
    await this.#limit?.close(deadlineMs);
  }

  #assertOpen(): void {
    if (this.#closing) throw new ClosedError('recorder');
  }

  #flush(): void {
    this.#assertOpen();
    this.#interval.flush();
  }

  async #afterSaves(): Promise<void> {
    this.#flush();
    await this.#turns.settled();
  }

  async #saveInBackground(given: Taken): Promise<'done' | 'again'> {
    try {
      await this.#save(given);
      return 'done';
    } catch (error) {
      this.#report(error, { action: 'save', nodeName: given.nodeName });
      return error instanceof InvalidCheckpointError || error instanceof ClosedError ? 'done' : 'again';
    }
  }

  async #save(given: Taken): Promise<SaveReceipt> {
    if (this.#turns.unsettled >= MAX_UNACKNOWLEDGED_SAVES) {
      throw new BackpressureError('maxUnacknowledgedSaves', this.#turns.unsettled, MAX_UNACKNOWLEDGED_SAVES);
    }
    this.#lookUpOnce();
    // A store takes its own snapshot at the call.
    if (this.#turns.open) return this.#turns.sideBySide(() => this.#write(given));
    const kept = this.#snapshots.keep(given);
    return this.#turns.sideBySide(() => this.#write(kept()));
  }

  /** Before the first save of an execution that may exist. */
  #lookUpOnce(): void {
    if (this.#version !== undefined || this.#lookingUp) return;
    this.#lookingUp = true;
    void this.#turns.alone(async () => {
      try {
        await this.#lookUp().catch((error) => this.#lookUpCommitted(error));
      } catch (error) {
        // The saves that wait for it fail with it; the next one looks again.
        this.#lookUpError = error;
      } finally {
        this.#lookingUp = false;
      }
    });
  }

  /** A save that was refused is for `resume` to tell: the versions go on from what is stored. */
  async #lookUpCommitted(error: unknown): Promise<void> {
    if (!(error instanceof DeadLetteredError)) throw error;
    this.#goOnFrom(await this.#store.latest(this.executionId, { atPrimary: true }));
  }

  async #lookUp(): Promise<Checkpoint | undefined> {
    const newest = await this.#store.latest(this.executionId, LATEST);
    this.#goOnFrom(newest);
    return newest;
  }

  #goOnFrom(newest: Checkpoint | undefined): void {
    this.#version = Math.max(this.#version ?? 0, newest?.version ?? 0);
    this.#timestamp = Math.max(this.#timestamp, newest?.timestamp.getTime() ?? this.#timestamp);
  }

  async #load(checkpointId: string): Promise<Checkpoint> {
    const { executionId } = this;
    const checkpoint = await this.#store.load(checkpointId, { ...LATEST, executionId });
    if (checkpoint.executionId !== executionId) throw new CheckpointNotFoundError(checkpointId);
    return checkpoint;
  }

  async #write({ id, nodeName, state, source }: Taken): Promise<SaveReceipt> {
    if (this.#version === undefined) throw this.#lookUpError;
    const version = ++this.#version;
    this.#timestamp = Math.max(this.#timestamp, Date.now());
    // Not awaited here: the function would keep the state until the store has saved it.
    const saving = this.#store.save({
      id,
      executionId: this.executionId,
      nodeName,
      state,
      // LangGraphGo reads the execution here.
      metadata: { execution_id: this.executionId, source },
      timestamp: new Date(this.#timestamp),
      version,
    });
    return saving.then((receipt) => {
      this.#limit?.add({ receipt, version, nodeName });
      return receipt;
    });
  }

  #report(error: unknown, failure: BackgroundFailure): void {
    const tell = async () => this.#onError(error as Error, failure);
    tell().catch(() =>
      process.emitWarning('onError of a CheckpointRecorder failed', 'CheckpointRecorderWarning'),
    );
  }
}
