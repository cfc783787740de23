import { SaveLostError } from '../errors.js';
import { Gathered } from '../gathered.js';
import type { CommitOutcome } from './checkpoint-store.js';
import type { CheckpointTable } from './checkpoint-table.js';
import { type DeadLetterLookup, deadLettered } from './dead-letter-lookup.js';

interface Save {
  readonly id: string;
  readonly executionId: string;
  readonly version: number;
  readonly sequence: number;
}

/** Asks PostgreSQL, and then the dead letters, what became of saves whose jobs are done. */
export class OutcomeReader {
  readonly #outcomes: Gathered<Save, CommitOutcome | 'lost'>;

  constructor(
    table: CheckpointTable,
    private readonly deadLetters: DeadLetterLookup,
  ) {
    this.#outcomes = new Gathered((saves) => table.outcomes(saves));
  }

  /** @throws DeadLetteredError, SaveLostError */
  async read(save: Save): Promise<CommitOutcome> {
    const outcome = await this.#outcomes.ask(save);
    if (outcome !== 'lost') return outcome;
    const { id, sequence } = save;
    const [letter] = await this.deadLetters.bySequence([{ first: sequence, last: sequence }]);
    throw letter ? deadLettered(letter) : new SaveLostError(id, sequence);
  }
}
