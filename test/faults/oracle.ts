import { type Acknowledged, digestOf } from '../../src/cli/demo/oracle.js';
import type { CheckpointStore, SaveReceipt } from '../../src/index.js';
import { readRows, type StoredPlace, type StoredRow } from './stored-rows.js';

/** A checkpoint with all its fields given, so that what is stored can be compared with it. */
export type WholeCheckpoint = Acknowledged & { state: object };

/** What is wrong with what is stored. Each of these holds ids. */
export interface Verdict {
  /** How many saves were acknowledged. */
  acknowledged: number;
  /** Acknowledged, not deleted, and not there. */
  lost: string[];
  /** There, but an acknowledged save is newer, by version and then by sequence, and was not deleted. */
  stale: string[];
  /** There, though a delete or a clear that came after it had returned. */
  resurrected: string[];
  /** There, but not as anyone saved it, or under another sequence than was acknowledged. */
  unexpected: string[];
}

/** What a verdict has to match. */
export const NOTHING_WRONG: Omit<Verdict, 'acknowledged'> = {
  lost: [],
  stale: [],
  resurrected: [],
  unexpected: [],
};

/** Events of one process come one after the other: their number is their time. */
type Tick = number;

interface Save {
  readonly executionId: string;
  readonly version: number;
  readonly digest: string;
  readonly called: Tick;
  readonly by: string | undefined;
  /** Not before it was acknowledged; without it may be stored or not, now or later. */
  acknowledged?: { at: Tick; sequence: number };
}

interface Removal {
  readonly called: Tick;
  readonly by: string | undefined;
  /** Never, where it failed: what was saved before that may be deleted, now or later, or not. */
  returned?: Tick;
  /** Its place in the order of all saves is before this, so what is saved later is none of its. */
  ended?: Tick;
}

/** Between these, a read looked at what is stored. */
interface ReadSpan {
  readonly called: Tick;
  readonly returned: Tick;
}

/** What a latest read of an execution has shown, and of which of its ids it tells anything. */
export interface Shown {
  readonly checkpoints: readonly Acknowledged[];
  covers(id: string): boolean;
}

/** A latest read that broke its promise, with one id. */
export interface Misread {
  readonly id: string;
  readonly wrong: 'missing' | 'stale' | 'resurrected' | 'unexpected';
}

/**
 * Remembers, outside of Redis and PostgreSQL, what was promised: every save, when it was called and acknowledged, every
 * delete and clear. Then reads PostgreSQL back and says which promises are broken. What failed or was under way at the
 * same time may have happened or not, and is no reproach either way.
 *
 * States must be different from save to save: a stored row is recognised by its content.
 */
export class FaultOracle {
  readonly #saves = new Map<string, Save[]>();
  readonly #idsOf = new Map<string, Set<string>>();
  readonly #removals = { id: new Map<string, Removal[]>(), execution: new Map<string, Removal[]>() };
  #now: Tick = 0;
  #acknowledged = 0;

  /** Saves served so far. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** @param by names the store: what one store is asked counts in the order of the calls, acknowledged or not */
  async save(
    store: Pick<CheckpointStore, 'save'>,
    checkpoint: WholeCheckpoint,
    by?: string,
  ): Promise<SaveReceipt> {
    const { id, executionId, version } = checkpoint;
    const save: Save = { executionId, version, digest: digestOf(checkpoint), called: ++this.#now, by };
    listOf(this.#saves, id).push(save);
    this.#idsOf.set(executionId, (this.#idsOf.get(executionId) ?? new Set()).add(id));
    const receipt = await store.save(checkpoint as Parameters<CheckpointStore['save']>[0]);
    save.acknowledged = { at: ++this.#now, sequence: receipt.sequence };
    this.#acknowledged++;
    return receipt;
  }

  /** @param by as of `save` */
  delete(store: Pick<CheckpointStore, 'delete'>, id: string, by?: string): Promise<void> {
    return this.#remove('id', id, by, () => store.delete(id));
  }

  /** @param by as of `save` */
  clear(store: Pick<CheckpointStore, 'clear'>, executionId: string, by?: string): Promise<void> {
    return this.#remove('execution', executionId, by, () => store.clear(executionId));
  }

  /** Takes back that these were acknowledged: they may be stored or not, as what failed. */
  excuse(sequences: ReadonlySet<number>): void {
    for (const save of [...this.#saves.values()].flat()) {
      if (save.acknowledged && sequences.has(save.acknowledged.sequence)) delete save.acknowledged;
    }
  }

  /** Compares what a latest read shows with what was acknowledged when it was called. Rejects as the read does. */
  async read(executionId: string, read: () => Promise<Shown>): Promise<Misread[]> {
    const called = ++this.#now;
    const { checkpoints, covers } = await read();
    const span = { called, returned: ++this.#now };
    const shown = new Map(checkpoints.map((checkpoint) => [checkpoint.id, digestOf(checkpoint)]));
    const ids = new Set([...(this.#idsOf.get(executionId) ?? []), ...shown.keys()]);
    return [...ids].flatMap((id) => {
      const wrong = covers(id) && this.#misread(id, shown.get(id), span);
      return wrong ? { id, wrong } : [];
    });
  }

  /**
   * Compares all rows of the place's table with what was promised.
   * @param deadLetters ids of which a save is kept as a dead letter: that what is stored is older, or nothing, is no loss then
   */
  async verify(place: StoredPlace, { deadLetters = [] as readonly string[] } = {}): Promise<Verdict> {
    const verdict: Verdict = {
      acknowledged: this.#acknowledged,
      lost: [],
      stale: [],
      resurrected: [],
      unexpected: [],
    };
    const dead = new Set(deadLetters);
    const rows = await readRows(place);
    for (const [id, row] of rows) {
      if (!this.#saves.has(id)) verdict.unexpected.push(row.id);
    }
    for (const [id, saves] of this.#saves) {
      const wrong = this.#judge(id, saves, rows.get(id));
      if (wrong && !(dead.has(id) && (wrong === 'lost' || wrong === 'stale'))) verdict[wrong].push(id);
    }
    return verdict;
  }

  /** Of each id, what is stored and what was saved, for people. */
  async explain(place: StoredPlace, ids: readonly string[]): Promise<string[]> {
    if (ids.length === 0) return [];
    const rows = await readRows(place);
    return ids.map((id) => {
      const row = rows.get(id);
      const saves = (this.#saves.get(id) ?? []).map(({ version, digest, acknowledged }) => {
        const stored = digest === row?.digest ? ', stored' : '';
        return `version ${version}, sequence ${acknowledged?.sequence ?? 'unknown'}${stored}`;
      });
      return `${id}: there is ${row ? `sequence ${row.sequence}` : 'no row'}; saved were ${saves.join('; ')}`;
    });
  }

  async #remove(
    scope: 'id' | 'execution',
    key: string,
    by: string | undefined,
    remove: () => Promise<void>,
  ): Promise<void> {
    const removal: Removal = { called: ++this.#now, by };
    listOf(this.#removals[scope], key).push(removal);
    try {
      await remove();
      removal.returned = ++this.#now;
    } finally {
      removal.ended = removal.returned ?? ++this.#now;
    }
  }

  #judge(
    id: string,
    saves: readonly Save[],
    row: StoredRow | undefined,
  ): keyof typeof NOTHING_WRONG | undefined {
    const newest = saves.filter((save) => this.#mustStay(id, save)).reduce(newerOf, undefined);
    if (!row) return newest && 'lost';
    const stored = saves.find(({ digest }) => digest === row.digest);
    if (!stored) return 'unexpected';
    if (this.#mustBeGone(id, stored)) return 'resurrected';
    const promised = stored.acknowledged?.sequence ?? row.sequence;
    if (row.sequence !== undefined && row.sequence !== promised) return 'unexpected';
    // A read through a store tells no sequence: then only the version of a save that failed can tell that it is older.
    const sequence = promised ?? Number.POSITIVE_INFINITY;
    return newest && isOlder({ version: stored.version, sequence }, newest) ? 'stale' : undefined;
  }

  #misread(id: string, digest: string | undefined, span: ReadSpan): Misread['wrong'] | undefined {
    const saves = this.#saves.get(id) ?? [];
    const newest = saves.filter((save) => this.#mustStay(id, save, span)).reduce(newerOf, undefined);
    if (digest === undefined) return newest && 'missing';
    const shown = saves.find((save) => save.digest === digest);
    if (!shown) return 'unexpected';
    if (this.#mustBeGone(id, shown, span)) return 'resurrected';
    const sequence = shown.acknowledged?.sequence ?? Number.POSITIVE_INFINITY;
    return newest && isOlder({ version: shown.version, sequence }, newest) ? 'stale' : undefined;
  }

  #removalsOf(id: string, { executionId }: Save): Removal[] {
    const { id: byId, execution } = this.#removals;
    return [...(byId.get(id) ?? []), ...(execution.get(executionId) ?? [])];
  }

  /** Acknowledged, and whatever was deleted had ended before it was saved; for a read, as far as it could see. */
  #mustStay(id: string, save: Save, read: ReadSpan = AT_THE_END): boolean {
    const { called, acknowledged } = save;
    if (!acknowledged || acknowledged.at > read.called) return false;
    return this.#removalsOf(id, save).every(
      (removal) => removal.called > read.returned || (removal.ended !== undefined && removal.ended < called),
    );
  }

  /**
   * Acknowledged before a delete was called that has returned, or called before it through the same store; for a read, before that was
   * called.
   */
  #mustBeGone(id: string, save: Save, read: ReadSpan = AT_THE_END): boolean {
    const { acknowledged } = save;
    if (!acknowledged) return false;
    return this.#removalsOf(id, save).some(
      (removal) =>
        removal.returned !== undefined &&
        removal.returned < read.called &&
        (acknowledged.at < removal.called || (isOfOneStore(removal, save) && save.called < removal.called)),
    );
  }
}

const AT_THE_END: ReadSpan = { called: Number.POSITIVE_INFINITY, returned: Number.POSITIVE_INFINITY };

function isOfOneStore(removal: Removal, save: Save): boolean {
  return removal.by !== undefined && removal.by === save.by;
}

interface Rank {
  readonly version: number;
  readonly sequence: number;
}

function isOlder(a: Rank, b: Rank): boolean {
  return a.version < b.version || (a.version === b.version && a.sequence < b.sequence);
}

function newerOf(newest: Rank | undefined, { version, acknowledged }: Save): Rank {
  const rank = { version, sequence: acknowledged?.sequence as number };
  return newest && isOlder(rank, newest) ? newest : rank;
}

function listOf<T>(lists: Map<string, T[]>, key: string): T[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}
