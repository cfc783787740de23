/**
 * The jobs that this store has been acknowledged and does not know to be done. What is done is forgotten now and then, when
 * the set has doubled: each job is looked up a bounded number of times, and the set stays in proportion to the backlog.
 */
export class AcknowledgedJobs {
  readonly #jobIds = new Set<string>();
  #sweepAt = MIN_SWEEP;
  #sweeping: Promise<void> | undefined;

  /** @param ended tells which of the jobs are done. */
  constructor(private readonly ended: (jobIds: string[]) => Promise<Map<string, unknown>>) {}

  get jobIds(): string[] {
    return [...this.#jobIds];
  }

  add(jobId: string): void {
    this.#jobIds.add(jobId);
    if (this.#jobIds.size >= this.#sweepAt) this.#sweeping ??= this.#sweep();
  }

  forget(jobIds: Iterable<string>): void {
    for (const jobId of jobIds) this.#jobIds.delete(jobId);
  }

  /** Resolves when nothing of it is under way. */
  async settled(): Promise<void> {
    await this.#sweeping;
  }

  async #sweep(): Promise<void> {
    try {
      const ended = await this.ended(this.jobIds);
      this.forget([...ended].filter(([, end]) => end === 'done').map(([jobId]) => jobId));
    } catch {
      // Redis is away: the next sweep finds them.
    } finally {
      this.#sweepAt = Math.max(MIN_SWEEP, 2 * this.#jobIds.size);
      this.#sweeping = undefined;
    }
  }
}

const MIN_SWEEP = 1000;
