import { errorCopy } from './error-copy.js';

interface Pending<Question, Answer> {
  readonly question: Question;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

/** Questions that are asked together: while as many rounds as allowed are under way, later ones gather into the next. */
export class Gathered<Question, Answer> {
  #waiting: Pending<Question, Answer>[] = [];
  #rounds = 0;

  /** @param answer answers all questions of a round, in their order */
  constructor(
    private readonly answer: (questions: Question[]) => Promise<Answer[]>,
    private readonly maxRounds = 1,
  ) {}

  ask(question: Question): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ question, resolve, reject });
      if (this.#rounds < this.maxRounds) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#rounds++;
    // At the end of this turn, so that those who ask in it ask together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const round = this.#waiting.splice(0);
      try {
        const answers = await this.answer(round.map(({ question }) => question));
        for (const [index, { resolve }] of round.entries()) resolve(answers[index] as Answer);
      } catch (error) {
        for (const { reject } of round) reject(errorCopy(error));
      }
    }
    this.#rounds--;
  }
}
