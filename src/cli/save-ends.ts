import { setMaxListeners } from 'node:events';
import { CheckpointQueueError, DeadLetteredError, SaveLostError, WriteRefusedError } from '../errors.js';
import type { SaveReceipt } from '../store/checkpoint-store.js';
import { OutcomeList } from './outcome-list.js';

/** What became of saves that were acknowledged. */
export interface SaveCounts {
  committed: number;
  superseded: number;
  deleted: number;
  /** Refused by PostgreSQL, and kept as dead letters. */
  refused: number;
  /** Neither stored nor in the queue. */
  lost: number;
  /** Done by a worker, and PostgreSQL could not be asked what as. */
  unknown: number;
  /** Not committed when the waiting ended; still in the queue. */
  pending: number;
}

/** A save of which it is not certain that it is dealt with. Those that are pending are only counted. */
export interface SaveFailure {
  readonly id: string;
  readonly outcome: 'refused' | 'lost' | 'unknown';
  readonly code: string;
  readonly message: string;
  readonly deadLetterId?: string;
}

/** Receipts that are waited for at once: each takes some 300 bytes, and its job a place in every look at Redis. */
const MAX_WAITING = 20_000;

/** Waits for the commits of many saves, a bounded number at a time. */
export class SaveEnds {
  readonly failures = new OutcomeList<SaveFailure>(({ message }) => message);
  readonly counts: Readonly<SaveCounts>;
  readonly #counts: SaveCounts;
  readonly #waiting = new Set<Promise<void>>();
  readonly #giveUp = new AbortController();

  /** @param interrupted ends all waits */
  constructor(private readonly interrupted: AbortSignal) {
    this.#counts = { committed: 0, superseded: 0, deleted: 0, refused: 0, lost: 0, unknown: 0, pending: 0 };
    this.counts = this.#counts;
    setMaxListeners(0, this.#giveUp.signal);
    interrupted.addEventListener('abort', this.#onInterrupt, { once: true });
  }

  readonly #onInterrupt = () => this.#giveUp.abort();

  add(receipt: SaveReceipt): void {
    const ending = this.#end(receipt).finally(() => this.#waiting.delete(ending));
    this.#waiting.add(ending);
  }

  /** Resolves when there is room for more. */
  async room(): Promise<void> {
    while (this.#waiting.size >= MAX_WAITING) await Promise.race(this.#waiting);
  }

  /** Waits for the rest. @param timeoutMs undefined: as long as it takes */
  async settled(timeoutMs: number | undefined): Promise<void> {
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => this.#giveUp.abort(), timeoutMs);
    try {
      await Promise.all(this.#waiting);
    } finally {
      clearTimeout(timer);
      this.interrupted.removeEventListener('abort', this.#onInterrupt);
    }
  }

  async #end(receipt: SaveReceipt): Promise<void> {
    const { signal } = this.#giveUp;
    try {
      this.#counts[await receipt.committed({ signal })]++;
    } catch (error) {
      if (signal.aborted && error === signal.reason) this.#counts.pending++;
      else this.#failed(receipt.id, error);
    }
  }

  #failed(id: string, error: unknown): void {
    const outcome =
      error instanceof DeadLetteredError || error instanceof WriteRefusedError
        ? 'refused'
        : error instanceof SaveLostError
          ? 'lost'
          : 'unknown';
    this.#counts[outcome]++;
    const { code, message } =
      error instanceof CheckpointQueueError ? error : { code: 'UNEXPECTED', message: 'unexpected error' };
    const deadLetter = error instanceof DeadLetteredError && { deadLetterId: error.deadLetterId };
    this.failures.add({ id, outcome, code, message, ...deadLetter });
  }
}

/** The sum for people. */
export function endsText({ committed, superseded, deleted, ...failures }: SaveCounts): string {
  const parts = [
    `${committed} committed`,
    `${superseded} superseded by a newer save`,
    `${deleted} deleted since`,
    ...problemsOf(failures),
  ];
  return parts.join(', ');
}

/** What is not as it should be; empty where all is. */
export function problemsOf({
  refused,
  lost,
  unknown,
  pending,
}: Pick<SaveCounts, 'refused' | 'lost' | 'unknown' | 'pending'>): string[] {
  return [
    ...(refused > 0 ? [`${refused} refused`] : []),
    ...(lost > 0 ? [`${lost} lost`] : []),
    ...(unknown > 0 ? [`${unknown} of which PostgreSQL could not tell`] : []),
    ...(pending > 0 ? [`${pending} still in the queue`] : []),
  ];
}
