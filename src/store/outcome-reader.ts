import { SaveLostError } from '../errors.js';
import type { CommitOutcome } from './checkpoint-store.js';
import type { CheckpointTable } from './checkpoint-table.js';

interface Save {
  readonly id: string;
  readonly executionId: string;
  readonly version: number;
  readonly sequence: number;
}

interface Question {
  readonly save: Save;
  resolve(outcome: CommitOutcome): void;
  reject(error: unknown): void;
}

/** Asks PostgreSQL what became of saves; while one query is under way, later questions gather into the next. */
export class OutcomeReader {
  #questions: Question[] = [];
  #reading: Promise<void> | undefined;

  constructor(private readonly table: CheckpointTable) {}

  /** @throws SaveLostError */
  read(save: Save): Promise<CommitOutcome> {
    return new Promise((resolve, reject) => {
      this.#questions.push({ save, resolve, reject });
      this.#reading ??= this.#read();
    });
  }

  async #read(): Promise<void> {
    while (this.#questions.length > 0) {
      // At the end of this turn, so that those who wait for one job ask together.
      await Promise.resolve();
      const questions = this.#questions.splice(0);
      try {
        const outcomes = await this.table.outcomes(questions.map(({ save }) => save));
        for (const [index, { save, resolve, reject }] of questions.entries()) {
          const outcome = outcomes[index] as CommitOutcome | 'lost';
          if (outcome === 'lost') reject(new SaveLostError(save.id, save.sequence));
          else resolve(outcome);
        }
      } catch (error) {
        for (const { reject } of questions) reject(error);
      }
    }
    this.#reading = undefined;
  }
}
