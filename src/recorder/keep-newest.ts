import { DeadLetteredError, SaveLostError, WriteRefusedError } from '../errors.js';
import type { CheckpointStore, SaveReceipt } from '../store/checkpoint-store.js';

/** A checkpoint of the execution, as far as anyone knows. */
interface Kept {
  readonly id: string;
  readonly version: number;
  readonly nodeName: string;
  /** Undefined for what was stored before. */
  readonly receipt?: SaveReceipt;
  committed: boolean;
}

export interface KeepNewestOptions {
  readonly store: CheckpointStore;
  readonly executionId: string;
  /** How many to keep. */
  readonly count: number;
  /** Whether the execution may have checkpoints that are not added here. */
  readonly mayExist: boolean;
  /** A save that turned out to be refused, or lost, after it was acknowledged. */
  readonly onRefused: (error: Error, nodeName: string) => void;
  readonly onError: (error: Error) => void;
}

/** Of one read of what was stored before; states come with it. */
const CHECKPOINTS_A_PAGE = 100;
/** The store does deletes together that are asked for together. */
const DELETES_AT_ONCE = 50;
/** The longest that setTimeout can wait. */
const MAX_TIMER_MS = 2_147_483_647;

/**
 * Deletes the older checkpoints of an execution in the background, once the newest `count` are committed. An acknowledged
 * one may still be refused, and were the older ones gone by then, nothing would be left to go on from.
 *
 * One round at a time: what is added meanwhile is seen to by the next, so a busy agent asks seldom what is committed.
 */
export class KeepNewest {
  readonly #options: KeepNewestOptions;
  /** Oldest first; what is added here is ordered by version. */
  #kept: Kept[] = [];
  #foundExisting: boolean;
  #working = false;
  #round: Promise<void> | undefined;
  #closed = false;

  constructor(options: KeepNewestOptions) {
    this.#options = options;
    this.#foundExisting = !options.mayExist;
  }

  /** A save was acknowledged. */
  add(save: { receipt: SaveReceipt; version: number; nodeName: string }): void {
    const { id } = save.receipt;
    const after = this.#kept.findLastIndex(({ version }) => version < save.version);
    this.#kept.splice(after + 1, 0, { id, committed: false, ...save });
    if (!this.#working) this.#round = this.#rounds();
  }

  /** Waits until the limit is kept, up to the deadline: what is not committed by then stays for the next recorder. */
  async close(deadlineMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.min(deadlineMs, MAX_TIMER_MS));
    });
    await Promise.race([this.#round, deadline]);
    clearTimeout(timer);
    this.#closed = true;
  }

  async #rounds(): Promise<void> {
    const { count, onError } = this.#options;
    this.#working = true;
    try {
      if (!this.#foundExisting) await this.#findExisting();
      while (!this.#closed && this.#kept.length > count) {
        const newest = this.#kept.slice(-count);
        if (await this.#allCommitted(newest)) await this.#deleteBefore(newest[0] as Kept);
      }
    } catch (error) {
      // The next save begins another round.
      if (!this.#closed) onError(error as Error);
    } finally {
      this.#working = false;
    }
  }

  async #findExisting(): Promise<void> {
    const { store, executionId } = this.#options;
    const found: Kept[] = [];
    for (let after: string | undefined; ; ) {
      const page = await store.list(executionId, { consistency: 'latest', limit: CHECKPOINTS_A_PAGE, after });
      found.push(...page.map(({ id, version, nodeName }) => ({ id, version, nodeName, committed: true })));
      after = page.at(-1)?.id;
      if (page.length < CHECKPOINTS_A_PAGE) break;
    }
    const added = new Set(this.#kept.map(({ id }) => id));
    this.#kept = [...found.filter(({ id }) => !added.has(id)), ...this.#kept];
    this.#foundExisting = true;
  }

  /** Whether they are; those that never will be are forgotten. */
  async #allCommitted(some: readonly Kept[]): Promise<boolean> {
    const { onRefused } = this.#options;
    const checks = await Promise.allSettled(some.map((kept) => this.#becomeCommitted(kept)));
    const gone = new Set<Kept>();
    for (const [index, check] of checks.entries()) {
      const kept = some[index] as Kept;
      if (check.status === 'fulfilled') {
        if (!check.value) gone.add(kept);
      } else if (isRefusal(check.reason)) {
        gone.add(kept);
        onRefused(check.reason, kept.nodeName);
      } else throw check.reason;
    }
    this.#kept = this.#kept.filter((kept) => !gone.has(kept));
    return gone.size === 0;
  }

  async #becomeCommitted(kept: Kept): Promise<boolean> {
    if (!kept.committed) kept.committed = (await kept.receipt?.committed()) !== 'deleted';
    return kept.committed;
  }

  async #deleteBefore(oldest: Kept): Promise<void> {
    // Not by version: other programs may have given many the same.
    const older = this.#kept.slice(0, Math.max(0, this.#kept.indexOf(oldest)));
    for (let from = 0; from < older.length && !this.#closed; from += DELETES_AT_ONCE) {
      const some = older.slice(from, from + DELETES_AT_ONCE);
      await Promise.all(some.map(({ id }) => this.#options.store.delete(id)));
      const deleted = new Set(some);
      this.#kept = this.#kept.filter((kept) => !deleted.has(kept));
    }
  }
}

function isRefusal(error: unknown): error is Error {
  return (
    error instanceof DeadLetteredError || error instanceof WriteRefusedError || error instanceof SaveLostError
  );
}
