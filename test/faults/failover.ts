import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { type CheckpointStore, SaveLostError, type SaveReceipt } from '../../src/index.js';
import { Load, type LoadOptions } from './load.js';
import { FaultOracle, NOTHING_WRONG, type Verdict } from './oracle.js';
import type { StoredPlace } from './stored-rows.js';

/** A save that was acknowledged. */
interface Acknowledged {
  readonly receipt: SaveReceipt;
  readonly calledAt: number;
  readonly at: number;
}

/** What became of the saves. */
export interface FailoverReport {
  readonly acknowledged: number;
  /** Those whose receipts say that Redis has lost them. */
  readonly lost: number;
  /** The longest time between two acknowledgements, in milliseconds. */
  readonly longestGapMs: number;
  readonly queueUnavailable: number;
}

const CONFIRM_TIMEOUT_MS = 5000;

/**
 * Agents that save to several stores at once through a failover, and what may be lost by it: nothing that the replica had confirmed, and
 * nothing that was acknowledged after the master died. Receipts are to say exactly what is lost.
 */
export class FailoverLoad {
  readonly #oracle = new FaultOracle();
  readonly #saves: Acknowledged[] = [];
  readonly #loads: readonly Load[];
  #confirmedAt = 0;
  #killedAt = Number.POSITIVE_INFINITY;
  #promotedAt = Number.POSITIVE_INFINITY;

  constructor(stores: readonly CheckpointStore[], options: LoadOptions = {}) {
    this.#loads = stores.map((store) => Load.start(this.#noting(store), this.#oracle, { ...options }));
  }

  /** Resolves when so many more are acknowledged to each of the stores. */
  async more(count: number): Promise<void> {
    await Promise.all(this.#loads.map((load) => load.more(count)));
  }

  /** All that is acknowledged now is confirmed by the replica when this resolves. @param master of the queue */
  async confirm(master: Redis, key: string): Promise<void> {
    const now = performance.now();
    await confirm(master, key);
    this.#confirmedAt = now;
  }

  /** @param promoted resolves when another one is the master */
  async through(kill: () => Promise<void>, promoted: () => Promise<void>): Promise<void> {
    await kill();
    this.#killedAt = performance.now();
    await promoted();
    this.#promotedAt = performance.now();
  }

  /** Ends the load and compares what is stored with what was acknowledged. */
  async verify(place: StoredPlace, settled: () => Promise<void>): Promise<FailoverReport> {
    const counts = await Promise.all(this.#loads.map((load) => load.stop()));
    await settled();
    const lost = await this.#lost();
    // Neither what was confirmed, nor what was acknowledged when the old master was dead.
    for (const { at, calledAt } of lost) {
      expect(at).toBeGreaterThan(this.#confirmedAt);
      expect(calledAt).toBeLessThan(this.#killedAt);
    }
    this.#expectSequencesToGoOn();
    this.#oracle.excuse(new Set(lost.map(({ receipt }) => receipt.sequence)));
    const verdict: Verdict = await this.#oracle.verify(place);
    expect(verdict).toEqual({ acknowledged: this.#saves.length, ...NOTHING_WRONG });
    return {
      acknowledged: this.#saves.length,
      lost: lost.length,
      longestGapMs: Math.round(longestGap(this.#saves.map(({ at }) => at))),
      queueUnavailable: counts.reduce((sum, count) => sum + count.queueUnavailable, 0),
    };
  }

  #noting(store: CheckpointStore): Pick<CheckpointStore, 'save' | 'delete'> {
    return {
      save: async (...args) => {
        const calledAt = performance.now();
        const receipt = await store.save(...args);
        this.#saves.push({ receipt, calledAt, at: performance.now() });
        return receipt;
      },
      delete: (id) => store.delete(id),
    };
  }

  async #lost(): Promise<Acknowledged[]> {
    const outcomes = await Promise.allSettled(this.#saves.map(({ receipt }) => receipt.committed()));
    return this.#saves.filter((_, index) => {
      const outcome = outcomes[index] as PromiseSettledResult<unknown>;
      if (outcome.status === 'fulfilled') return false;
      expect(outcome.reason).toBeInstanceOf(SaveLostError);
      return true;
    });
  }

  /** None twice, and those of saves that were called after the promotion above all from before. */
  #expectSequencesToGoOn(): void {
    const sequences = this.#saves.map(({ receipt }) => receipt.sequence);
    expect(new Set(sequences).size).toBe(sequences.length);
    const before = this.#saves.filter(({ at }) => at < this.#killedAt);
    const after = this.#saves.filter(({ calledAt }) => calledAt > this.#promotedAt);
    expect(after.length).toBeGreaterThan(0);
    expect(lowest(after)).toBeGreaterThan(Math.max(...before.map(({ receipt }) => receipt.sequence)));
  }
}

/** Resolves when the replica has confirmed all that the master has written until now. */
export async function confirm(master: Redis, key: string): Promise<void> {
  await master.set(key, 'behind all that was acknowledged');
  expect(await master.call('WAIT', 1, CONFIRM_TIMEOUT_MS)).toBe(1);
}

function lowest(saves: readonly Acknowledged[]): number {
  return Math.min(...saves.map(({ receipt }) => receipt.sequence));
}

function longestGap(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  return Math.max(...sorted.slice(1).map((time, index) => time - (sorted[index] as number)));
}
