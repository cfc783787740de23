import type { TextRow } from '../postgres/database.js';
import type { CommitOutcome } from './checkpoint-store.js';

/** A save that went through the queue. */
export interface QueuedSave {
  readonly id: string;
  readonly executionId: string;
  /** Undefined where it is not known: any other row of the id that is stored counts as newer then. */
  readonly version?: number;
  readonly sequence: number;
}

/**
 * What became of a save whose job is done; `lost` if nothing in PostgreSQL tells.
 * @param row what PostgreSQL has of its id, and of the latest deletes of id and execution
 * @param clockOffsetUs how much Redis' clock, which numbered the save, is ahead of PostgreSQL's, which numbers deletes without Redis
 */
export function outcomeOf(
  { version, sequence }: QueuedSave,
  row: TextRow | undefined,
  clockOffsetUs: number,
): CommitOutcome | 'lost' {
  const number = (column: string) => {
    const value = row?.[column];
    return value == null ? undefined : Number(value);
  };
  const storedSequence = number('sequence');
  const storedVersion = number('version') ?? -1;
  if (storedSequence === sequence && (version === undefined || storedVersion === version)) return 'committed';
  if ((number('fence') ?? -1) >= sequence) return 'deleted';
  const deletedUntil = number('up_to_clock');
  if (deletedUntil !== undefined && deletedUntil + clockOffsetUs >= sequence) return 'deleted';
  if (storedSequence !== undefined) {
    if (version === undefined || storedVersion > version) return 'superseded';
    if (storedVersion === version && storedSequence > sequence) return 'superseded';
  }
  // Made during the delete, it gave way to a row that was deleted then.
  return (number('deleted_at') ?? -1) >= sequence ? 'deleted' : 'lost';
}
