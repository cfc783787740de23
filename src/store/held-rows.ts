import { type CheckpointInput, serializeCheckpoint, serializeSuccessor } from '../checkpoint.js';
import { type BackpressureError, InvalidCheckpointError } from '../errors.js';
import type { PendingMemory } from '../pending-memory.js';
import { CheckpointRow } from '../writer/checkpoint-row.js';

/** A checkpoint as a row whose bytes are taken; whoever has it releases them. @throws InvalidCheckpointError, BackpressureError */
export function heldRow(
  memory: PendingMemory,
  checkpoint: CheckpointInput,
  expectedVersion?: number,
): CheckpointRow {
  memory.assertRoomFor(checkpoint?.state, checkpoint?.metadata);
  const row = new CheckpointRow(
    expectedVersion === undefined
      ? serializeCheckpoint(checkpoint)
      : serializeSuccessor(checkpoint, expectedVersion),
  );
  memory.take(row.heldBytes);
  return row;
}

/** Of each checkpoint its row, or the error that refused it for want of room. @throws InvalidCheckpointError, and none is held */
export function heldRows(
  memory: PendingMemory,
  checkpoints: readonly CheckpointInput[],
): (CheckpointRow | BackpressureError)[] {
  if (!Array.isArray(checkpoints)) throw new InvalidCheckpointError('checkpoints', 'must be an array');
  const held: CheckpointRow[] = [];
  const take = (checkpoint: CheckpointInput): CheckpointRow | BackpressureError => {
    const row = new CheckpointRow(serializeCheckpoint(checkpoint));
    try {
      memory.take(row.heldBytes);
    } catch (error) {
      return error as BackpressureError;
    }
    held.push(row);
    return row;
  };
  try {
    return checkpoints.map(take);
  } catch (error) {
    for (const { heldBytes } of held) memory.release(heldBytes);
    throw error;
  }
}
