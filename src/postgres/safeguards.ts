/** What keeps deleted things deleted. Tests alone switch one off, to see the harm that it prevents. */
export interface Safeguards {
  /** Batches look once more before they commit, under a lock that deletes wait for. */
  readonly gate: boolean;
  /** Batches leave out what is under a tombstone when they merge. */
  readonly guard: boolean;
}

export const SAFEGUARDS: Safeguards = Object.freeze({ gate: true, guard: true });
