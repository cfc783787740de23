import type { DatabaseError } from '../errors.js';
import { type Blame, blameOf } from '../postgres/blame.js';
import { HeldWrite, type HeldWriteOptions } from './held-write.js';

/** Refusals of a record alone, with the same code, until it is to blame; PostgreSQL takes another one between any two and after the last. */
const REFUSALS = 3;
/** Parts into which a batch is divided that holds a record PostgreSQL refuses. What waits for a lock is refused only after ten seconds: few steps. */
const PARTS = { quick: 2, slow: 16 };
/** Parts in a row that locks or load stop; from then on such a part is set aside whole. */
const MAX_STOPPED = 8;

export interface PersistentCommitOptions<Item> extends HeldWriteOptions<Item> {
  /** The item that the failure is due to, where it tells. */
  culprit?: (error: DatabaseError) => Item | undefined;
  /** Whether PostgreSQL takes another item of this kind now. Default: nobody can tell. */
  takesAnother?: (item: Item) => Promise<boolean>;
}

/** Items are refused and nothing shows that they are to blame: their jobs come back later. */
export class SetAside extends Error {
  constructor() {
    super('records are refused and nothing shows that they are to blame');
  }
}

/** An item that PostgreSQL refuses. */
export interface Refusal<Item> {
  readonly item: Item;
  readonly error: DatabaseError;
}

/** What was not committed. */
export interface Uncommitted<Item> {
  /** PostgreSQL refuses these for good. */
  readonly refused: Refusal<Item>[];
  /** PostgreSQL refuses these now, and nothing shows that they are to blame. */
  readonly setAside: Refusal<Item>[];
}

/**
 * Commits a batch whatever it takes. Failures of the server are waited out (P6); what PostgreSQL refuses is isolated, and the rest
 * commits (P5).
 *
 * Whatever the SQLSTATE, a record is to blame if PostgreSQL refuses it alone, three times with the same code, and takes another one
 * between any two of these and after the last. With the codes that speak of a value (22, 23, 54) once is enough. Locks, load and
 * damaged pages are never a record's. What is refused without this proof, for all others are refused as well or there is no
 * other, is set aside.
 * @throws NotCommitted when it is told to give up; some of the items may be committed then
 */
export async function commitPersistently<Item>(
  items: readonly Item[],
  options: PersistentCommitOptions<Item>,
): Promise<Uncommitted<Item>> {
  return new Isolation(options).commit(items);
}

class Isolation<Item> {
  readonly #options: PersistentCommitOptions<Item>;
  readonly #held: HeldWrite<Item>;
  readonly #refused: Refusal<Item>[] = [];
  /** Refused alone. */
  readonly #suspects: Refusal<Item>[] = [];
  readonly #setAside: Refusal<Item>[] = [];
  #stopped = 0;

  constructor(options: PersistentCommitOptions<Item>) {
    this.#options = options;
    this.#held = new HeldWrite(options);
  }

  async commit(items: readonly Item[]): Promise<Uncommitted<Item>> {
    const error = await this.#held.write(items);
    if (error) await this.#isolate(items, error);
    await this.#judge();
    return { refused: this.#refused, setAside: this.#setAside };
  }

  /**
   * Where the failure names its item, what is before it passed and what is behind it is unknown; else all is unknown. What is unknown
   * is divided: one bad item of 4,000 costs 3 transactions more or, without a name, about 24; and where all are bad, the effort
   * stays below n log n.
   */
  async #isolate(items: readonly Item[], error: DatabaseError): Promise<void> {
    const blame = blameOf(error);
    const [item, ...others] = items as [Item, ...Item[]];
    if (others.length === 0) {
      this.#notTaken(blame).push({ item, error });
      return;
    }
    const parts = blame === 'others' ? PARTS.slow : PARTS.quick;
    const culprit = this.#options.culprit?.(error);
    const at = culprit === undefined ? -1 : items.indexOf(culprit);
    if (at < 0) return this.#writeAll(divide(items, parts));
    const named = items[at] as Item;
    await this.#writeAll([items.slice(0, at)]);
    if (blame === 'certain') this.#refused.push({ item: named, error });
    else await this.#writeAll([[named]]);
    await this.#writeAll(divide(items.slice(at + 1), parts));
  }

  async #writeAll(parts: readonly (readonly Item[])[]): Promise<void> {
    for (const part of parts) if (part.length > 0) await this.#write(part);
  }

  async #write(part: readonly Item[]): Promise<void> {
    // Those of several are tried again in any case.
    const error = await this.#held.write(part, part.length > 1 ? { patience: 1 } : {});
    this.#stopped = error && blameOf(error) === 'others' ? this.#stopped + 1 : 0;
    if (!error) return;
    if (this.#stopped < MAX_STOPPED) await this.#isolate(part, error);
    else for (const item of part) this.#setAside.push({ item, error });
  }

  #notTaken(blame: Blame): Refusal<Item>[] {
    if (blame === 'certain') return this.#refused;
    return blame === 'suspected' ? this.#suspects : this.#setAside;
  }

  async #judge(): Promise<void> {
    for (const [index, suspect] of this.#suspects.entries()) {
      const verdict = await this.#prove(suspect);
      if (verdict === 'to blame') this.#refused.push(suspect);
      if (verdict === 'unclear') this.#setAside.push(suspect);
      // Nothing else can be proven now either.
      if (verdict === 'all are refused') {
        this.#setAside.push(...this.#suspects.slice(index));
        return;
      }
    }
  }

  async #prove({ item, error }: Refusal<Item>): Promise<Verdict> {
    const { takesAnother = async () => false } = this.#options;
    for (let refusals = 1; await takesAnother(item); refusals++) {
      if (refusals === REFUSALS) return 'to blame';
      const again = await this.#held.write([item]);
      if (!again) return 'committed';
      if (again.sqlState !== error.sqlState) return 'unclear';
    }
    return 'all are refused';
  }
}

type Verdict = 'to blame' | 'committed' | 'unclear' | 'all are refused';

/** Parts of about one size, in order. */
function divide<Item>(items: readonly Item[], parts: number): (readonly Item[])[] {
  const bound = (part: number) => Math.floor((part * items.length) / parts);
  return Array.from({ length: parts }, (_, part) => items.slice(bound(part), bound(part + 1)));
}
