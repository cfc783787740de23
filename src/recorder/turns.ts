interface Turn {
  readonly alone: boolean;
  /** Settles when the work has, and never rejects. */
  begin(): Promise<void>;
}

/**
 * The order of calls. Work that goes side by side begins at once, within the call, unless somebody is before it who has to be
 * alone: then it begins when that has ended. Work that is alone begins when all before it has ended.
 */
export class Turns {
  readonly #waiting: Turn[] = [];
  readonly #unsettled = new Set<Promise<unknown>>();
  #sideBySide = 0;
  #alone = false;

  /** Whether work that goes side by side would begin at once. */
  get open(): boolean {
    return !this.#alone && this.#waiting.length === 0;
  }

  /** How much has been asked for and has not ended. */
  get unsettled(): number {
    return this.#unsettled.size;
  }

  sideBySide<T>(work: () => Promise<T>): Promise<T> {
    return this.#take(false, work);
  }

  alone<T>(work: () => Promise<T>): Promise<T> {
    return this.#take(true, work);
  }

  /** Resolves when all that was asked for before has ended, however. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#unsettled]);
  }

  #take<T>(alone: boolean, work: () => Promise<T>): Promise<T> {
    const result = new Promise<T>((resolve, reject) => {
      this.#waiting.push({ alone, begin: () => work().then(resolve, reject) });
    });
    this.#unsettled.add(result);
    const forget = () => void this.#unsettled.delete(result);
    result.then(forget, forget);
    this.#advance();
    return result;
  }

  #advance(): void {
    for (;;) {
      const [next] = this.#waiting;
      if (!next || this.#alone || (next.alone && this.#sideBySide > 0)) return;
      this.#waiting.shift();
      if (next.alone) this.#alone = true;
      else this.#sideBySide++;
      void next.begin().then(() => {
        if (next.alone) this.#alone = false;
        else this.#sideBySide--;
        this.#advance();
      });
    }
  }
}
