import { parseDeadLetterId } from '../chunk.js';
import type { DeadLetterRecord } from '../redis/dead-letter-job.js';
import type { DeadLetterSelection } from './dead-letter-filter.js';
import type { DeadLetterReader } from './dead-letter-reader.js';

/** `letter` is undefined for an id that names none. */
export interface SelectedLetter {
  readonly deadLetterId: string;
  readonly letter: DeadLetterRecord | undefined;
}

/** The dead letters meant, each once, however many ids name it. */
export async function* selectedLetters(
  reader: DeadLetterReader,
  { ids, filter }: DeadLetterSelection,
): AsyncGenerator<SelectedLetter> {
  if (!ids) {
    for await (const letter of reader.letters(filter ?? {}))
      yield { deadLetterId: letter.deadLetterId, letter };
    return;
  }
  // By sequence: a dead letter that is replayed and refused again before it is named a second time has another id by then.
  const selected = new Set<number | undefined>();
  for (const id of new Set(ids)) {
    if (selected.has(parseDeadLetterId(id)?.sequence)) continue;
    const letter = await reader.get(id);
    if (letter) selected.add(letter.job.sequence);
    yield { deadLetterId: letter?.deadLetterId ?? id, letter };
  }
}

export async function countSelected(
  reader: DeadLetterReader,
  { ids, filter }: DeadLetterSelection,
): Promise<number> {
  if (!ids) return reader.count(filter ?? {});
  const letters = (await reader.resolve(ids)).values();
  return new Set(Array.from(letters, ({ job }) => job.sequence)).size;
}
