import type { Fences } from './fences.js';
import { comesAfter, type History, isBefore, type Read, type Save, wins } from './history.js';
import { nameOf, readName, removalName } from './names.js';

/** P4: every latest read saw all that was acknowledged before it began, and nothing that was deleted before it began. */
export function readComplaints(history: History, fences: Fences): string[] {
  const saveOf = new Map(history.saves.map((save) => [save.token, save]));
  return history.reads.flatMap((read) => {
    const shown = read.shown.map(({ token }) => saveOf.get(token) as Save);
    const problems = new ReadProblems(history, fences, read);
    const complaints = read.view === 'latest' ? latest(problems, shown[0]) : each(problems, shown);
    return complaints.map((complaint) => `${readName(read)} ${complaint}`);
  });
}

/** `load` and `list`: the rows that it saw are all there. */
function each(problems: ReadProblems, shown: readonly Save[]): string[] {
  const ids = new Set([...problems.ids, ...shown.map(({ id }) => id)]);
  const complaints = [...ids].flatMap(
    (id) =>
      problems.of(
        id,
        shown.find((save) => save.id === id),
      ) ?? [],
  );
  for (const [index, save] of shown.entries()) {
    const previous = shown[index - 1];
    if (previous && !comesAfter(save, previous)) complaints.push(`shows ${nameOf(save)} too late`);
  }
  return complaints;
}

/** It saw the newest of the rows: of each other id there must be a row, or none, that it may have seen and left out. */
function latest(problems: ReadProblems, shown: Save | undefined): string[] {
  const complaints: string[] = [];
  for (const id of problems.ids) {
    if (id === shown?.id) continue;
    const candidates = [undefined, ...problems.candidates(id)].filter(
      (row) => !row || (shown && comesAfter(shown, row)),
    );
    if (candidates.every((row) => problems.of(id, row) !== undefined)) {
      complaints.push(`shows ${shown ? nameOf(shown) : 'nothing'}, and ${id} has something newer`);
    }
  }
  return [...complaints, ...(shown ? (problems.of(shown.id, shown) ?? []) : [])];
}

/** What is wrong with a read's having seen a row. */
class ReadProblems {
  /** The ids that it looks at. */
  readonly ids: ReadonlySet<string>;

  constructor(
    private readonly history: History,
    private readonly fences: Fences,
    private readonly read: Read,
  ) {
    const { view, key } = read;
    const looked = history.saves.filter(
      ({ id, executionId }) => (view === 'load' ? id : executionId) === key,
    );
    this.ids = new Set(looked.map(({ id }) => id));
  }

  candidates(id: string): Save[] {
    return this.history.saves.filter((save) => save.id === id);
  }

  /** @param row what it saw of the id; undefined: that there is none */
  of(id: string, row: Save | undefined): string[] | undefined {
    const { read, fences, history } = this;
    if (row && row.called > read.returned) return [`shows ${nameOf(row)} before it was saved`];
    for (const removal of row ? history.removals : []) {
      if (row && isBefore(removal, read) && fences.mustHaveRemoved(removal, row))
        return [`shows ${nameOf(row)}, which is deleted by ${removalName(removal)}`];
    }
    const missed = this.candidates(id).find(
      (save) => isBefore(save, read) && (!row || wins(save, row)) && !this.#mayBeDeleted(save, row),
    );
    return missed && [`shows ${row ? nameOf(row) : `no ${id}`}, and misses ${nameOf(missed)}`];
  }

  /** A delete of the save would have removed the row too, had it been saved before. */
  #mayBeDeleted(save: Save, row: Save | undefined): boolean {
    if (row && row.sequence < save.sequence) return false;
    return this.history.removals.some(
      (removal) => removal.called < this.read.returned && this.fences.mayHaveTaken(removal, save),
    );
  }
}
