/**
 * Runs one job at a time of those of which only the newest matters: what comes of an older one is dropped.
 *
 * @template Result
 */
export class LatestOnly {
  #turn = 0;

  /**
   * @param {() => Promise<Result>} job
   * @param {{ done: (result: Result) => void, failed: (error: unknown) => void }} outcome
   */
  async run(job, { done, failed }) {
    const turn = ++this.#turn;
    try {
      const result = await job();
      if (turn === this.#turn) done(result);
    } catch (error) {
      if (turn === this.#turn) failed(error);
    }
  }

  /** Drops what is under way. */
  stop() {
    this.#turn++;
  }
}
