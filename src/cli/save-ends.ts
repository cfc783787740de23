import { deferred } from '../deferred.js';
import {
  CheckpointQueueError,
  ClosedError,
  DeadLetteredError,
  SaveLostError,
  WriteRefusedError,
} from '../errors.js';
import { timerMs } from '../redis/deadline.js';
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
  /** Not known to be committed when the waiting ended; most are still in the queue. */
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

/**
 * Waits for the commits of many saves, a bounded number at a time. When the waiting ends early, what is left is `pending`; the store that
 * is closed then settles it.
 */
export class SaveEnds {
  readonly failures = new OutcomeList<SaveFailure>(({ message }) => message);
  readonly #counts = { committed: 0, superseded: 0, deleted: 0, refused: 0, lost: 0, unknown: 0 };
  readonly #stopped: Promise<void>;
  #waiting = 0;
  /** Those that were added when no more could be waited for. */
  #unwatched = 0;
  #gaveUp = false;
  #change = deferred<void>();

  /**
   * @param interrupted ends all waits
   * @param waitMs how long to wait after the last line, and for the next end where too many are waited for; undefined: as long as it takes
   */
  constructor(
    interrupted: AbortSignal,
    private readonly waitMs: number | undefined,
  ) {
    this.#stopped = new Promise((resolve) => {
      interrupted.addEventListener('abort', () => this.#giveUp(resolve), { once: true });
    });
  }

  get counts(): SaveCounts {
    return { ...this.#counts, pending: this.#waiting + this.#unwatched };
  }

  add(receipt: SaveReceipt): void {
    if (this.#gaveUp) this.#unwatched++;
    else void this.#end(receipt);
  }

  /** Resolves when there is room for more, nothing has ended for `waitMs`, or it is woken. */
  async room(): Promise<void> {
    if (this.#waiting < MAX_WAITING || this.#gaveUp) return;
    await this.#until(this.#change.promise);
  }

  /** Ends the wait for room. */
  wake(): void {
    this.#change.resolve();
    this.#change = deferred();
  }

  /** Waits for the rest. */
  async settled(): Promise<void> {
    const ended = async () => {
      while (this.#waiting > 0) await this.#change.promise;
    };
    if (!this.#gaveUp) await this.#until(ended());
    this.#gaveUp = true;
  }

  async #until(change: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      if (this.waitMs !== undefined) timer = setTimeout(() => this.#giveUp(resolve), timerMs(this.waitMs));
    });
    await Promise.race([change, late, this.#stopped]);
    clearTimeout(timer);
  }

  #giveUp(then: () => void): void {
    this.#gaveUp = true;
    then();
  }

  async #end(receipt: SaveReceipt): Promise<void> {
    this.#waiting++;
    let ended = true;
    try {
      this.#counts[await receipt.committed()]++;
    } catch (error) {
      if (error instanceof ClosedError) ended = false;
      else this.#failed(receipt.id, error);
    }
    if (ended) this.#waiting--;
    this.wake();
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
    ...(pending > 0 ? [`${pending} not confirmed yet; what is in the queue stays there`] : []),
  ];
}
