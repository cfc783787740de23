import type { SequenceRange } from '../redis/dead-letter-queue.js';

/** What it needs to know of the queue. */
export interface JobLookup {
  /** How jobs have ended, of those that have. */
  ended(jobIds: string[]): Promise<Map<string, 'done' | 'failed'>>;
  /** The records among these that were refused. */
  refusals(ranges: SequenceRange[]): Promise<Error[]>;
}

/**
 * The jobs that this store has been acknowledged and does not know to be done, and what was refused of those that are. What is
 * done is forgotten now and then, when the set has doubled: each job is looked up a bounded number of times, and the set
 * stays in proportion to the backlog.
 */
export class AcknowledgedJobs {
  readonly #jobs = new Map<string, SequenceRange>();
  #refusals: Error[] = [];
  #sweepAt = MIN_SWEEP;
  #sweeping: Promise<void> | undefined;

  constructor(private readonly lookup: JobLookup) {}

  get jobIds(): string[] {
    return [...this.#jobs.keys()];
  }

  add({ jobId, sequence }: { jobId: string; sequence: number }): void {
    const known = this.#jobs.get(jobId);
    const first = Math.min(known?.first ?? sequence, sequence);
    this.#jobs.set(jobId, { first, last: Math.max(known?.last ?? sequence, sequence) });
    if (this.#jobs.size >= this.#sweepAt) this.#sweeping ??= this.#sweep();
  }

  /**
   * Forgets jobs that have ended.
   * @returns the records that were refused, of these and of those that were forgotten before; each is told once
   */
  async settle(jobIds: readonly string[]): Promise<Error[]> {
    await this.#sweeping;
    await this.#forget(jobIds);
    return this.#refusals.splice(0);
  }

  /** Resolves when nothing of it is under way. */
  async settled(): Promise<void> {
    await this.#sweeping;
  }

  async #sweep(): Promise<void> {
    try {
      const ended = await this.lookup.ended(this.jobIds);
      await this.#forget([...ended].filter(([, end]) => end === 'done').map(([jobId]) => jobId));
    } catch {
      // Redis is away: the next sweep finds them.
    } finally {
      this.#sweepAt = Math.max(MIN_SWEEP, 2 * this.#jobs.size);
      this.#sweeping = undefined;
    }
  }

  async #forget(jobIds: readonly string[]): Promise<void> {
    // Taken out before it is asked: two at once would tell one refusal twice.
    const taken = jobIds.flatMap((jobId) => {
      const range = this.#jobs.get(jobId);
      return range ? [[jobId, range] as const] : [];
    });
    for (const [jobId] of taken) this.#jobs.delete(jobId);
    let refusals: Error[];
    try {
      refusals = await this.lookup.refusals(taken.map(([, range]) => range));
    } catch (error) {
      for (const [jobId, range] of taken) this.#jobs.set(jobId, range);
      throw error;
    }
    this.#refusals = [...this.#refusals, ...refusals].slice(0, MAX_REFUSALS);
  }
}

const MIN_SWEEP = 1000;
/** Enough to see what is wrong; all of them are among the dead letters. */
const MAX_REFUSALS = 10_000;
