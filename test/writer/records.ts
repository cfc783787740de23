import fc from 'fast-check';
import { serializeCheckpoint } from '../../src/checkpoint.js';
import { CheckpointRow } from '../../src/writer/checkpoint-row.js';
import type { WriteRecord } from '../../src/writer/sink.js';
import { monthsOn } from '../months.js';

/** One save on its way, small enough to reason about. */
export interface Save {
  readonly id: string;
  readonly executionId: string;
  readonly version: number;
  readonly sequence: number;
}

export function recordOf({ id, executionId, version, sequence }: Save): WriteRecord {
  const timestamp = monthsOn(2 + (sequence % 3));
  const state = { version, sequence };
  const row = new CheckpointRow(
    serializeCheckpoint({ id, executionId, nodeName: '', state, version, timestamp }),
  );
  return { sequence, body: row.toBuffer() };
}

export const IDS = ['a', 'b', 'c'];
export const EXECUTIONS = ['x', 'y'];
export const MAX_SEQUENCE = 60;

/** The execution of an id that does not move from one to another. */
export function homeOf(id: string): string {
  return EXECUTIONS[IDS.indexOf(id) % EXECUTIONS.length] as string;
}

/** Saves of few ids with few versions, each with a sequence of its own, in any order; ids may move between executions. */
export function saves({ moving = true } = {}): fc.Arbitrary<Save[]> {
  const numbers = { version: fc.nat({ max: 3 }), sequence: fc.integer({ min: 1, max: MAX_SEQUENCE }) };
  const save = fc.constantFrom(...IDS).chain((id) =>
    fc.record({
      id: fc.constant(id),
      executionId: moving ? fc.constantFrom(...EXECUTIONS) : fc.constant(homeOf(id)),
      ...numbers,
    }),
  );
  return fc.uniqueArray(save, { selector: ({ sequence }) => sequence, minLength: 1, maxLength: 20 });
}

/** What must be stored: of each id the save with the highest (version, sequence), unless it is deleted. */
export class Model {
  readonly stored = new Map<string, Save>();
  readonly #fences = new Map<string, number>();

  save(save: Save): void {
    const fence = Math.max(
      this.#fenceOf('checkpoint', save.id),
      this.#fenceOf('execution', save.executionId),
    );
    if (save.sequence <= fence) return;
    const stored = this.stored.get(save.id);
    if (!stored || isNewer(save, stored)) this.stored.set(save.id, save);
  }

  /** Deletes what is there; the fence is above it even where its sequence came from a clock ahead of the fence's. */
  remove(scope: 'checkpoint' | 'execution', key: string, fence: number): number {
    const removed = [...this.stored.values()].filter(
      (save) => (scope === 'checkpoint' ? save.id : save.executionId) === key,
    );
    for (const { id } of removed) this.stored.delete(id);
    const above = Math.max(this.#fenceOf(scope, key), fence, ...removed.map(({ sequence }) => sequence));
    this.#fences.set(`${scope} ${key}`, above);
    return above;
  }

  #fenceOf(scope: string, key: string): number {
    return this.#fences.get(`${scope} ${key}`) ?? 0;
  }
}

function isNewer(a: Save, b: Save): boolean {
  return a.version > b.version || (a.version === b.version && a.sequence > b.sequence);
}

/** Redis and PostgreSQL with one clock, for maintenance. */
export const SAME_CLOCK = { offsetUs: 0, redisTimeUs: Number.MAX_SAFE_INTEGER };
