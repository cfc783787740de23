import { SaveLostError } from '../errors.js';
import type { CommitOutcome } from './checkpoint-store.js';
import type { CheckpointTable } from './checkpoint-table.js';
import { Gathered } from './gathered.js';

interface Save {
  readonly id: string;
  readonly executionId: string;
  readonly version: number;
  readonly sequence: number;
}

/** Asks PostgreSQL what became of saves whose jobs are done. */
export class OutcomeReader {
  readonly #outcomes: Gathered<Save, CommitOutcome | 'lost'>;

  constructor(table: CheckpointTable) {
    this.#outcomes = new Gathered((saves) => table.outcomes(saves));
  }

  /** @throws SaveLostError */
  async read(save: Save): Promise<CommitOutcome> {
    const outcome = await this.#outcomes.ask(save);
    if (outcome === 'lost') throw new SaveLostError(save.id, save.sequence);
    return outcome;
  }
}
