import { InvalidDeadLetterError, SequenceOutOfRangeError } from '../errors.js';
import { type ImportableLetter, letterOfLine } from './dead-letter-lines.js';
import { Lanes } from './lanes.js';

/** What an import came to. */
export interface ImportResult {
  imported: number;
  /** Were there already, and stay as they are. */
  existing: number;
}

const IN_FLIGHT = 16;

/**
 * @param restore tells whether the dead letter was not there
 * @param goOn called before each line; may throw
 * @throws InvalidDeadLetterError, and what the two throw, when what was begun has ended
 */
export async function importLines(
  lines: AsyncIterable<unknown> | Iterable<unknown>,
  restore: (letter: ImportableLetter) => Promise<boolean>,
  goOn: () => void,
): Promise<ImportResult> {
  const result: ImportResult = { imported: 0, existing: 0 };
  const lanes = new Lanes(IN_FLIGHT);
  let line = 0;
  try {
    for await (const given of lines) {
      goOn();
      line++;
      if (lanes.failed) break;
      if (typeof given === 'string' && given.trim() === '') continue;
      const letter = letterOfLine(given, line);
      const number = line;
      await lanes.begin(async () => {
        try {
          result[(await restore(letter)) ? 'imported' : 'existing']++;
        } catch (error) {
          if (!(error instanceof SequenceOutOfRangeError)) throw error;
          throw new InvalidDeadLetterError(number, 'sequence', "is more than a day ahead of Redis' clock");
        }
      });
    }
  } finally {
    await lanes.settled();
  }
  lanes.assertNoneFailed();
  return result;
}
