/**
 * Numbers the operations of one producer in the order in which they were called, also where a connection is lost in between.
 *
 * Over one connection Redis numbers what is sent first first, so nobody waits. A command that was lost is sent again at a time of
 * its own, though, when later ones may have their numbers. So an operation keeps its number only once all earlier ones have theirs,
 * or have failed; where one of these is higher, it draws again.
 */
export class CallOrder {
  /** The highest number of all operations called so far; resolves when each has its number or has failed. */
  #highest: Promise<number> = Promise.resolve(0);

  /**
   * @param draw draws a number; called again where an earlier operation got a higher one
   * @returns the number, above those of all operations that were called before
   */
  number(draw: () => Promise<number>): Promise<number> {
    const earlier = this.#highest;
    const numbered = this.#draw(earlier, draw);
    this.#highest = Promise.all([earlier, numbered.catch(() => 0)]).then((numbers) => Math.max(...numbers));
    return numbered;
  }

  async #draw(earlier: Promise<number>, draw: () => Promise<number>): Promise<number> {
    for (;;) {
      const number = await draw();
      if (number > (await earlier)) return number;
    }
  }
}
