/**
 * Lets one value through in an interval, and of those that come meanwhile the newest when it is over. A value that could not be
 * saved waits for the next interval, unless a newer one takes its place.
 *
 * There is a timer only while a value waits. It keeps the process alive: the value would be lost otherwise.
 */
export class Interval<T> {
  #waiting: { readonly value: T } | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** In milliseconds of `performance.now()`. */
  #over = Number.NEGATIVE_INFINITY;
  #offered = 0;
  #saving: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(
    private readonly intervalMs: number,
    /** Resolves to whether the same value should be tried again; never rejects. */
    private readonly save: (value: T) => Promise<'done' | 'again'>,
  ) {}

  offer(value: T): void {
    this.#offered++;
    this.#wait(value);
  }

  /** Saves what waits now, and the next interval begins. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#waiting) return;
    const { value } = this.#waiting;
    this.#waiting = undefined;
    this.#over = performance.now() + this.intervalMs;
    this.#saving = Promise.all([this.#saving, this.#attempt(value)]);
  }

  /** Saves what waits; what then fails, or is failing, is tried once more. */
  async close(): Promise<void> {
    this.flush();
    await this.#saving;
    this.#closed = true;
    this.flush();
    await this.#saving;
  }

  async #attempt(value: T): Promise<void> {
    const offered = this.#offered;
    if ((await this.save(value)) === 'done' || this.#closed) return;
    // What was offered since is newer, whether it waits or is saved already.
    if (this.#offered === offered) this.#wait(value);
  }

  #wait(value: T): void {
    this.#waiting = { value };
    if (this.#timer) return;
    const left = this.#over - performance.now();
    if (left <= 0) this.flush();
    else this.#timer = setTimeout(() => this.flush(), Math.ceil(left));
  }
}
