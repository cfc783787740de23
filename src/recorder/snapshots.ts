import { deserializeCheckpoint, type SerializedCheckpoint, serializeCheckpoint } from '../checkpoint.js';
import type { JsonValue } from '../json.js';
import { PendingMemory, stringBytes } from '../pending-memory.js';
import type { Taken } from './taken.js';

/** As a queued store's `maxPendingBytes`, which counts what the store itself has in hand. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

type Snapshot = Taken & { readonly state: JsonValue };

/** Takes states as a store would, so that the caller may go on changing them. */
export class Snapshots {
  readonly #memory = new PendingMemory(MAX_WAITING_BYTES);

  constructor(private readonly executionId: string) {}

  /** @throws InvalidCheckpointError */
  of(given: Taken): Snapshot {
    return snapshotOf(given, this.#serialize(given));
  }

  /**
   * Keeps a snapshot until its turn comes, as JSON text, whose memory counts until then.
   * @returns gives the snapshot; to be called once
   * @throws InvalidCheckpointError; BackpressureError with 64 MiB waiting
   */
  keep(given: Taken): () => Snapshot {
    this.#memory.assertRoomFor(given.state);
    let kept: SerializedCheckpoint | undefined = this.#serialize(given);
    const bytes = stringBytes(kept.state);
    this.#memory.take(bytes);
    return () => {
      const snapshot = snapshotOf(given, kept as SerializedCheckpoint);
      // Whoever has this function keeps the text no longer.
      kept = undefined;
      this.#memory.release(bytes);
      return snapshot;
    };
  }

  #serialize({ id, nodeName, state }: Taken): SerializedCheckpoint {
    return serializeCheckpoint({ id, nodeName, state, executionId: this.executionId });
  }
}

function snapshotOf(given: Taken, serialized: SerializedCheckpoint): Snapshot {
  return { ...given, state: deserializeCheckpoint(serialized).state };
}
