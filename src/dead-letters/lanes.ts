/** Work that runs side by side, so much of it at once. The first failure is kept for the end. */
export class Lanes {
  readonly #running = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;

  constructor(private readonly width: number) {}

  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** Begins the work; resolves when there is room for more. */
  async begin(work: () => Promise<void>): Promise<void> {
    const running = work()
      .catch((error) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
    if (this.#running.size >= this.width) await Promise.race(this.#running);
  }

  /** Resolves when nothing of it is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** @throws what failed first */
  assertNoneFailed(): void {
    if (this.#failure) throw this.#failure.error;
  }
}
