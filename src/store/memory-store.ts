import {
  type Checkpoint,
  type CheckpointInput,
  deserializeCheckpoint,
  type SerializedCheckpoint,
  serializeCheckpoint,
  serializeCheckpoints,
  serializeSuccessor,
  validName,
} from '../checkpoint.js';
import { CheckpointNotFoundError, ClosedError, VersionConflictError } from '../errors.js';
import { checkOptions } from '../known-keys.js';
import {
  type CheckpointStore,
  type CommitOutcome,
  checkListOptions,
  checkReadOptions,
  checkSaveBatchOptions,
  checkSaveOptions,
  type ListOptions,
  type ReadOptions,
  type SaveBatchOptions,
  type SaveOptions,
  type SaveReceipt,
} from './checkpoint-store.js';

type Stored = SerializedCheckpoint & { readonly sequence: number };

/** Keeps checkpoints in this process: the same contract without services, for tests and for trying out. */
export class MemoryCheckpointStore implements CheckpointStore {
  readonly #checkpoints = new Map<string, Stored>();
  #sequence = 0;
  #closed = false;

  /** @throws InvalidConfigError where it is given options: it has none */
  constructor(options: Record<string, never> = {}) {
    checkOptions(options, {}, 'MemoryCheckpointStore');
  }

  async save(checkpoint: CheckpointInput, options: SaveOptions = {}): Promise<SaveReceipt> {
    this.#assertOpen();
    checkSaveOptions(options);
    const { expectedVersion } = options;
    const serialized =
      expectedVersion === undefined
        ? serializeCheckpoint(checkpoint)
        : serializeSuccessor(checkpoint, expectedVersion);
    const { id, version } = serialized;
    const stored = this.#checkpoints.get(id);
    if (expectedVersion !== undefined && expectedVersion !== (stored?.version ?? 0)) {
      throw new VersionConflictError(id, expectedVersion, stored?.version);
    }
    this.#sequence = Math.max(this.#sequence + 1, Date.now() * 1000);
    const sequence = this.#sequence;
    if (!stored || stored.version <= version) this.#checkpoints.set(id, { ...serialized, sequence });
    return { id, sequence, committed: async () => this.#outcome(id, sequence) };
  }

  async saveBatch(
    checkpoints: readonly CheckpointInput[],
    options: SaveBatchOptions = {},
  ): Promise<SaveReceipt[]> {
    checkSaveBatchOptions(options);
    serializeCheckpoints(checkpoints);
    return Promise.all(checkpoints.map((checkpoint) => this.save(checkpoint)));
  }

  async load(id: string, options: ReadOptions = {}): Promise<Checkpoint> {
    this.#assertOpen();
    checkReadOptions(options, 'load');
    const stored = this.#checkpoints.get(validName('id', id));
    if (!stored) throw new CheckpointNotFoundError(id);
    return deserializeCheckpoint(stored);
  }

  async latest(executionId: string, options: ReadOptions = {}): Promise<Checkpoint | undefined> {
    checkReadOptions(options, 'latest');
    const stored = this.#inOrder(executionId).at(-1);
    return stored && deserializeCheckpoint(stored);
  }

  async list(executionId: string, options: ListOptions = {}): Promise<Checkpoint[]> {
    checkListOptions(executionId, options);
    const { limit, before, after } = options;
    const inOrder = this.#inOrder(executionId);
    const position = (bound: Date | string) => this.#position(bound, executionId);
    const first = before && position(before);
    const last = after && position(after);
    return inOrder
      .filter((stored) => !first || first(stored) < 0)
      .filter((stored) => !last || last(stored) > 0)
      .slice(0, limit)
      .map(deserializeCheckpoint);
  }

  async delete(id: string): Promise<void> {
    this.#assertOpen();
    this.#checkpoints.delete(validName('id', id));
  }

  async clear(executionId: string): Promise<void> {
    for (const { id } of this.#inOrder(executionId)) this.#checkpoints.delete(id);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #outcome(id: string, sequence: number): CommitOutcome {
    const stored = this.#checkpoints.get(id);
    if (!stored) return 'deleted';
    return stored.sequence === sequence ? 'committed' : 'superseded';
  }

  #inOrder(executionId: string): Stored[] {
    this.#assertOpen();
    validName('executionId', executionId);
    return [...this.#checkpoints.values()]
      .filter((stored) => stored.executionId === executionId)
      .sort(compare);
  }

  /** Where a checkpoint stands beside the bound: negative before it, positive after it. */
  #position(bound: Date | string, executionId: string): (stored: Stored) => number {
    if (bound instanceof Date) return ({ timestamp }) => timestamp.getTime() - bound.getTime();
    const anchor = this.#checkpoints.get(bound);
    if (anchor?.executionId !== executionId) throw new CheckpointNotFoundError(bound);
    return (stored) => compare(stored, anchor);
  }

  #assertOpen(): void {
    if (this.#closed) throw new ClosedError('store');
  }
}

function compare(a: Stored, b: Stored): number {
  return a.timestamp.getTime() - b.timestamp.getTime() || a.version - b.version || a.sequence - b.sequence;
}
