import { Dice } from '../model/dice.js';

/** What is drawn by a seed. Each user has one of its own, so that what one draws does not depend on how fast others are. */
export class Chance {
  readonly #dice: Dice;

  constructor(seed: number, user: string) {
    this.#dice = new Dice([...user].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), seed));
  }

  /** From `min` to `max`, both included. */
  whole(min: number, max: number): number {
    return min + Math.floor(this.#dice.roll() * (max - min + 1));
  }

  /** True so many times out of a hundred. */
  percent(share: number): boolean {
    return this.#dice.roll() * 100 < share;
  }

  oneOf<T>(choices: readonly T[]): T {
    return choices[this.whole(0, choices.length - 1)] as T;
  }

  /** So many different ones. */
  some<T>(choices: readonly T[], count: number): T[] {
    const left = [...choices];
    return Array.from({ length: Math.min(count, left.length) }, () =>
      left.splice(this.whole(0, left.length - 1), 1),
    ).flat();
  }
}
