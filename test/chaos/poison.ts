import { RemoteError } from './remote-store.js';

/** A dead letter as far as it counts here. */
export interface FoundLetter {
  readonly deadLetterId: string;
  readonly id: string;
  readonly sequence: number;
  readonly sqlState: string | null;
}

export interface PoisonVerdict {
  /** Saves that PostgreSQL refuses, and that were acknowledged: each has to be a dead letter. */
  expected: number;
  /** As expected, or not acknowledged and arrived all the same. */
  found: number;
  missing: string[];
  /** Kept more than once. */
  duplicates: string[];
  /** Kept though PostgreSQL takes it, under another sequence than was acknowledged, or for another reason. */
  unexpected: string[];
}

const CHECK_VIOLATION = '23514';

/** Knows which records have to be dead letters: each id is saved once. */
export class PoisonLedger {
  readonly #sequences = new Map<string, number | undefined>();

  /** Saves one. Rejects as the save does. */
  async save(id: string, save: () => Promise<{ sequence: number }>): Promise<void> {
    this.#sequences.set(id, undefined);
    const { sequence } = await save();
    this.#sequences.set(id, sequence);
  }

  judge(letters: readonly FoundLetter[]): PoisonVerdict {
    const verdict: PoisonVerdict = { expected: 0, found: 0, missing: [], duplicates: [], unexpected: [] };
    const lettersOf = new Map<string, string[]>();
    for (const { deadLetterId, id, sequence, sqlState } of letters) {
      const acknowledged = this.#sequences.get(id) ?? sequence;
      if (!this.#sequences.has(id) || acknowledged !== sequence || sqlState !== CHECK_VIOLATION) {
        verdict.unexpected.push(`${id} (sequence ${sequence}, ${sqlState ?? 'no SQLSTATE'})`);
      }
      lettersOf.set(id, [...(lettersOf.get(id) ?? []), deadLetterId]);
    }
    verdict.found = lettersOf.size;
    verdict.duplicates = [...lettersOf]
      .filter(([, ids]) => ids.length > 1)
      .map(([id, ids]) => `${id} is kept as ${ids.join(' and ')}`);
    for (const [id, sequence] of this.#sequences) {
      if (sequence === undefined) continue;
      verdict.expected++;
      if (!lettersOf.has(id)) verdict.missing.push(id);
    }
    return verdict;
  }
}

/** Of an execution of which all is refused, a latest read has nothing to show: it has to say so. @returns whether it hid that */
export async function hidesRefusal(read: () => Promise<unknown>): Promise<boolean> {
  try {
    await read();
    return true;
  } catch (error) {
    if (error instanceof RemoteError && error.code === 'DEAD_LETTERED') return false;
    throw error;
  }
}
