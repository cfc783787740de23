import { validName } from '../checkpoint.js';
import { InvalidConfigError } from '../errors.js';
import { checkOptions, type KnownKeys } from '../known-keys.js';
import { isWhole, isWithin } from '../numbers.js';
import type { CheckpointStore } from '../store/checkpoint-store.js';
import type { StateSchema } from './state-schema.js';

export interface CheckpointRecorderOptions<S = unknown> {
  /** Where the checkpoints go. It stays yours to close, after the recorder. */
  store: CheckpointStore;
  /** The run to record, or to go on with. Default: a random UUID, a run that nobody has recorded yet. */
  executionId?: string;
  /** Whether `afterNode` saves after every node. Default true. */
  autoSave?: boolean;
  /** Without `autoSave`, `afterNode` saves at most once in so many milliseconds. Default 30,000; at most 2,147,483,647. */
  saveIntervalMs?: number;
  /**
   * Keep only the newest so many checkpoints of the execution, at least 1. Default: all. Older ones are deleted in the
   * background once that many newer ones are committed: what only waits in a queue is no reason yet to delete what is stored.
   */
  maxCheckpoints?: number;
  /**
   * Told of what fails in the background. Default: a warning of the process (`process.emitWarning`). What PostgreSQL refuses
   * after a queue has taken it is a dead letter: it is told here where `maxCheckpoints` is set, and by `resume` in any case.
   */
  onError?: (error: Error, failure: BackgroundFailure) => void;
  /**
   * Turns the JSON that is stored into the state's type, in `resume` and for the reducer of `updateState`. Without one the type
   * is taken on trust.
   */
  schema?: StateSchema<S>;
}

const OPTIONS = {
  store: true,
  executionId: true,
  autoSave: true,
  saveIntervalMs: true,
  maxCheckpoints: true,
  onError: true,
  schema: true,
} satisfies KnownKeys<CheckpointRecorderOptions>;

/** What it was that failed: a save of the state after a node, or the removal of old checkpoints. */
export type BackgroundFailure =
  | { readonly action: 'save'; readonly nodeName: string }
  | { readonly action: 'trim' };

/** As LangGraphGo's. */
const DEFAULT_SAVE_INTERVAL_MS = 30_000;
/** The longest that setTimeout can wait. */
const MAX_SAVE_INTERVAL_MS = 2_147_483_647;

/** @throws InvalidConfigError, InvalidCheckpointError for `executionId` */
export function recorderSettings<S>(options: CheckpointRecorderOptions<S>) {
  checkOptions(options, OPTIONS, 'CheckpointRecorder');
  const { autoSave = true, saveIntervalMs = DEFAULT_SAVE_INTERVAL_MS, maxCheckpoints } = options;
  if (typeof options.store?.save !== 'function')
    throw new InvalidConfigError('store', 'must be a CheckpointStore');
  if (typeof autoSave !== 'boolean') throw new InvalidConfigError('autoSave', 'must be a boolean');
  if (!(isWithin(saveIntervalMs, 0, MAX_SAVE_INTERVAL_MS) && saveIntervalMs > 0)) {
    throw new InvalidConfigError(
      'saveIntervalMs',
      `must be a number of milliseconds up to ${MAX_SAVE_INTERVAL_MS}, above 0`,
    );
  }
  if (maxCheckpoints !== undefined && !isWhole(maxCheckpoints, 1)) {
    throw new InvalidConfigError('maxCheckpoints', 'must be a whole number of at least 1');
  }
  if (options.executionId !== undefined) validName('executionId', options.executionId);
  return { autoSave, saveIntervalMs, maxCheckpoints, onError: options.onError ?? warn };
}

function warn(error: Error, failure: BackgroundFailure): void {
  const what =
    failure.action === 'save' ? 'a checkpoint could not be saved' : 'old checkpoints could not be deleted';
  process.emitWarning(`${what}: ${error.message}`, {
    type: 'CheckpointRecorderWarning',
    code: codeOf(error),
  });
}

function codeOf(error: Error): string | undefined {
  return (error as { code?: string }).code;
}
