import { unexplainedFailures, withoutDoubt } from './doubt.js';
import { Fences } from './fences.js';
import { type Content, type History, isOrdered, type Row, type Save, wins } from './history.js';
import { nameOf, removalName } from './names.js';
import { readComplaints } from './read-oracle.js';

/**
 * Judges a history by the promises: P2 newest wins, P3 deleted stays deleted, P4 latest reads miss nothing, and receipts tell
 * what happened. What is concurrent may have happened in either order, but in one order for everybody: a delete is as if it
 * had happened at one place among the sequences, its fence, which lies between the saves acknowledged before it was called
 * and those called after it returned.
 *
 * @returns what is wrong, a sentence each; nothing if the history can be explained
 */
export function complaintsAbout(whole: History): string[] {
  const failed = [...unexplainedFailures(whole), ...whole.accepted];
  const history = withoutDoubt(whole);
  const unknown = unknownContents(history);
  const order = orderComplaints(history.saves);
  // The rest takes these for granted.
  if (unknown.length + order.length > 0) return [...failed, ...unknown, ...order];
  const verdicts = new Verdicts(history);
  const fences = new Fences(history, verdicts.survivors);
  return [
    ...failed,
    ...verdicts.complaints,
    ...answerComplaints(history, fences),
    ...removalComplaints(history, verdicts, fences),
    ...readComplaints(history, fences),
  ];
}

/** What is stored or shown must be what somebody saved, to the last field. */
function unknownContents({ saves, rows, reads }: History): string[] {
  const known = new Map(saves.map((save) => [save.token, save]));
  const isKnown = (content: Content) => {
    const save = known.get(content.token);
    const fields = ['id', 'executionId', 'version', 'timestamp'] as const;
    return save !== undefined && fields.every((field) => save[field] === content[field]);
  };
  const shown = reads.flatMap(({ view, shown }) =>
    shown
      .filter((content) => !isKnown(content))
      .map(({ token }) => `${view} shows ${token}, which nobody saved`),
  );
  const stored = rows
    .filter((row) => !isKnown(row) || known.get(row.token)?.sequence !== row.sequence)
    .map(({ token }) => `the row of ${token} is not what was saved`);
  const ids = rows.map(({ id }) => id);
  const double = ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => `${id} is stored twice`);
  return [...shown, ...stored, ...double];
}

/** Sequences are the order of the saves: what was acknowledged, or called by the same producer, before is lower. */
function orderComplaints(saves: readonly Save[]): string[] {
  const complaints: string[] = [];
  for (const a of saves) {
    for (const b of saves) {
      if (a === b || !(isOrdered(a, b) ? a.sequence >= b.sequence : a.sequence === b.sequence)) continue;
      complaints.push(`${nameOf(a)} and ${nameOf(b)} have their sequences in the wrong order`);
    }
  }
  return complaints;
}

/** What in the end must be true of each save, by the rows and by what receipts answered. */
class Verdicts {
  readonly survivors = new Set<Save>();
  readonly gone = new Set<Save>();
  readonly complaints: string[] = [];

  constructor({ saves, rows, answers }: History) {
    const rowOf = new Map<string, Row>(rows.map((row) => [row.id, row]));
    for (const save of saves) {
      const row = rowOf.get(save.id);
      const isRow = row?.token === save.token;
      const isNewerThanRow = !row || wins(save, row as Row & Save);
      if (isRow) this.survivors.add(save);
      // What wins over all that is stored, and is not stored, can only be deleted (P2).
      else if (isNewerThanRow) this.gone.add(save);
      for (const { outcome, final } of answers.filter(({ token }) => token === save.token)) {
        if (outcome === 'deleted') this.gone.add(save);
        else if (final) this.survivors.add(save);
        if (final && (outcome === 'committed') !== isRow) {
          this.complaints.push(
            `the receipt of ${nameOf(save)} says ${outcome}, stored is ${row?.token ?? 'nothing'}`,
          );
        }
      }
      if (this.gone.has(save) && this.survivors.has(save)) {
        this.complaints.push(`${nameOf(save)} is deleted and is not: stored is ${row?.token ?? 'nothing'}`);
      }
    }
  }
}

/** P3, once everything has settled. */
function removalComplaints({ removals }: History, verdicts: Verdicts, fences: Fences): string[] {
  const complaints: string[] = [];
  for (const save of verdicts.survivors) {
    for (const removal of removals) {
      if (fences.mustHaveRemoved(removal, save))
        complaints.push(`${nameOf(save)} is not deleted, in spite of ${removalName(removal)}`);
    }
  }
  for (const save of verdicts.gone) {
    if (!removals.some((removal) => fences.mayHaveTaken(removal, save)))
      complaints.push(`${nameOf(save)} is gone, and no delete can have removed it`);
  }
  return complaints;
}

/** What receipts answered on the way, when it was one of the things that may have been true at that time. */
function answerComplaints({ saves, removals, answers }: History, fences: Fences): string[] {
  const complaints: string[] = [];
  const saveOf = new Map(saves.map((save) => [save.token, save]));
  for (const answer of answers) {
    const save = saveOf.get(answer.token);
    if (!save || answer.final) continue;
    const removed = (one: Save) =>
      removals.some((removal) => removal.returned < answer.called && fences.mustHaveRemoved(removal, one));
    const explained = {
      committed: () => !removed(save),
      superseded: () =>
        saves.some(
          (other) =>
            other.id === save.id && wins(other, save) && other.called < answer.returned && !removed(other),
        ),
      deleted: () =>
        removals.some((removal) => removal.called < answer.returned && fences.mayHaveTaken(removal, save)),
    };
    if (!explained[answer.outcome]())
      complaints.push(`the receipt of ${nameOf(save)} said ${answer.outcome}, which it cannot have been`);
  }
  return complaints;
}
