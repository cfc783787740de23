import { covers, type History, isBefore, isOrdered, type Removal, type Save, wins } from './history.js';

/**
 * Where each delete or clear stands among the sequences: all of its key up to its fence is gone, the rest is not touched.
 * The fence itself is not known, its bounds are.
 */
export class Fences {
  readonly #bounds = new Map<Removal, { atLeast: number; below: number }>();

  /** @param survivors saves that were not deleted, so that no fence of their keys is at or above them */
  constructor(
    private readonly history: Pick<History, 'saves' | 'removals'>,
    survivors: ReadonlySet<Save>,
  ) {
    const { saves, removals } = history;
    for (const removal of removals) {
      const earlier = saves.filter((save) => isOrdered(save, removal));
      const later = saves.filter(
        (save) => isBefore(removal, save) || (survivors.has(save) && covers(removal, save)),
      );
      this.#bounds.set(removal, {
        atLeast: Math.max(0, ...earlier.map(({ sequence }) => sequence)),
        below: Math.min(Number.POSITIVE_INFINITY, ...later.map(({ sequence }) => sequence)),
      });
    }
  }

  mustHaveRemoved(removal: Removal, save: Save): boolean {
    if (removal.failed) return false;
    return covers(removal, save) && save.sequence <= this.#boundsOf(removal).atLeast;
  }

  mayHaveRemoved(removal: Removal, save: Save): boolean {
    return covers(removal, save) && save.sequence < this.#boundsOf(removal).below;
  }

  /**
   * Also together with another one: a save that is called before the delete has returned may have given way to a higher version that
   * the delete removed then. It is above the fence and gone all the same, whatever of other ids is above the fence and there.
   */
  mayHaveTaken(removal: Removal, save: Save): boolean {
    if (this.mayHaveRemoved(removal, save)) return true;
    const gaveWayTo = (other: Save) =>
      other.id === save.id && wins(other, save) && this.mayHaveRemoved(removal, other);
    return !isBefore(removal, save) && covers(removal, save) && this.history.saves.some(gaveWayTo);
  }

  #boundsOf(removal: Removal): { atLeast: number; below: number } {
    return this.#bounds.get(removal) as { atLeast: number; below: number };
  }
}
