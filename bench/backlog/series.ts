/** How far a process was at some moment, and its resident memory then, in bytes. */
export interface Sample {
  /** Milliseconds of `Date.now()`. */
  readonly at: number;
  /** Saves acknowledged, or records committed. */
  readonly done: number;
  readonly rss: number;
}

const TENTHS = 10;

/** What a process did from its first sample to its last. */
export class Series {
  readonly #samples: Sample[] = [];

  add(sample: Sample): void {
    this.#samples.push(sample);
  }

  get samples(): readonly Sample[] {
    return this.#samples;
  }

  get maxRss(): number {
    return Math.max(...this.#samples.map(({ rss }) => rss));
  }

  /** The memory when this share of the work was done. */
  rssAt(share: number): number {
    return this.#when(share).rss;
  }

  /** Things done a second in each tenth of the work. */
  get rates(): number[] {
    return Array.from({ length: TENTHS }, (_, tenth) => {
      const [from, to] = [this.#when(tenth / TENTHS), this.#when((tenth + 1) / TENTHS)];
      return ((to.done - from.done) / (to.at - from.at)) * 1000;
    });
  }

  /** Bytes by which the memory grows with each thing done, by least squares over all but the first fifth, in which it warms up. */
  get slope(): number {
    const warm = this.#samples.filter(({ done }) => done >= this.#total / 5);
    const mean = (of: (sample: Sample) => number) =>
      warm.reduce((sum, one) => sum + of(one), 0) / warm.length;
    const [done, rss] = [mean((one) => one.done), mean((one) => one.rss)];
    const covariance = mean((one) => (one.done - done) * (one.rss - rss));
    return covariance / mean((one) => (one.done - done) ** 2);
  }

  get #total(): number {
    return this.#samples.at(-1)?.done ?? 0;
  }

  #when(share: number): Sample {
    const sample = this.#samples.find(({ done }) => done >= share * this.#total);
    if (!sample) throw new Error('nothing was sampled');
    return sample;
  }
}
