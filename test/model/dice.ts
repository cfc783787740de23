/** Numbers by chance, the same ones for the same seed (mulberry32). */
export class Dice {
  #state: number;

  constructor(seed = 0) {
    this.#state = seed;
  }

  reseed(seed: number): void {
    this.#state = seed;
  }

  /** From 0 to just under 1. */
  roll(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
}
