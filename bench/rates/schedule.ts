/** When the saves of one of several producers are due. The producers take turns, so that together they keep the rate. */
export class Schedule {
  constructor(
    private readonly perSecond: number,
    private readonly producers: number,
    private readonly producer: number,
  ) {}

  /** Milliseconds from the start of the window to when this producer's save `index` is due. */
  dueMs(index: number): number {
    return ((index * this.producers + this.producer) * 1000) / this.perSecond;
  }

  /** How many of this producer's saves are due in a window. */
  savesWithin(windowMs: number): number {
    const slots = Math.ceil((windowMs * this.perSecond) / 1000 - 1e-9);
    return Math.max(0, Math.ceil((slots - this.producer) / this.producers));
  }
}
