import { REFUSALS, type Refusal } from './refusals.js';
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

interface Poison {
  readonly refusal: Refusal;
  sequence?: number;
}

/** Knows which records have to be dead letters: each id is saved once. */
export class PoisonLedger {
  readonly #poisons = new Map<string, Poison>();

  /** Saves one. Rejects as the save does. */
  async save(id: string, refusal: Refusal, save: () => Promise<{ sequence: number }>): Promise<void> {
    const poison: Poison = { refusal };
    this.#poisons.set(id, poison);
    poison.sequence = (await save()).sequence;
  }

  judge(letters: readonly FoundLetter[]): PoisonVerdict {
    const verdict: PoisonVerdict = { expected: 0, found: 0, missing: [], duplicates: [], unexpected: [] };
    const lettersOf = new Map<string, string[]>();
    for (const { deadLetterId, id, sequence, sqlState } of letters) {
      const poison = this.#poisons.get(id);
      const acknowledged = poison?.sequence ?? sequence;
      if (!poison || acknowledged !== sequence || sqlState !== REFUSALS[poison.refusal]) {
        verdict.unexpected.push(`${id} (sequence ${sequence}, ${sqlState ?? 'no SQLSTATE'})`);
      }
      lettersOf.set(id, [...(lettersOf.get(id) ?? []), deadLetterId]);
    }
    verdict.found = lettersOf.size;
    verdict.duplicates = [...lettersOf]
      .filter(([, ids]) => ids.length > 1)
      .map(([id, ids]) => `${id} is kept as ${ids.join(' and ')}`);
    for (const [id, { sequence }] of this.#poisons) {
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
