/** Addresses that are remembered; beyond that the oldest is forgotten. */
const MAX_ADDRESSES = 10_000;

export interface FailureLimitOptions {
  /** Failures that an address has within the time. */
  readonly failures: number;
  readonly withinMs: number;
  /** Milliseconds of any clock that does not go back. Default: of this process. */
  readonly now?: () => number;
}

/** Counts failures by address, so that nobody can try token after token. */
export class FailureLimit {
  readonly #failures = new Map<string, { count: number; until: number }>();
  readonly #options: FailureLimitOptions;
  readonly #now: () => number;

  constructor(options: FailureLimitOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  reached(address: string): boolean {
    const known = this.#known(address);
    return known !== undefined && known.count >= this.#options.failures;
  }

  note(address: string): void {
    const known = this.#known(address);
    if (known) {
      known.count++;
      return;
    }
    const [oldest] = this.#failures.keys();
    if (oldest !== undefined && this.#failures.size >= MAX_ADDRESSES) this.#failures.delete(oldest);
    this.#failures.set(address, { count: 1, until: this.#now() + this.#options.withinMs });
  }

  #known(address: string): { count: number; until: number } | undefined {
    const known = this.#failures.get(address);
    if (known && known.until <= this.#now()) {
      this.#failures.delete(address);
      return undefined;
    }
    return known;
  }
}
