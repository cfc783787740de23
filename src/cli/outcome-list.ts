import { note } from './command.js';

/** Lines for people: more of them hide the sum. */
const MAX_LINES = 20;
/** Entries with `--json`. */
const MAX_ENTRIES = 1000;

/** What became of single records, as far as it is worth telling: the first ones by name, the rest as a number. */
export class OutcomeList<Entry> {
  readonly #entries: Entry[] = [];
  #count = 0;

  constructor(private readonly textOf: (entry: Entry) => string) {}

  add(entry: Entry): void {
    this.#count++;
    if (this.#entries.length < MAX_ENTRIES) this.#entries.push(entry);
  }

  /** For `--json`; the counts beside it tell of those that are left out. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** Beside the result, on standard error. @param rest where to find those that are not listed */
  note(rest: string): void {
    const lines = this.#entries.slice(0, MAX_LINES).map((entry) => `  ${this.textOf(entry)}`);
    if (this.#count > lines.length) lines.push(`  and ${this.#count - lines.length} more: ${rest}`);
    if (lines.length > 0) note(lines);
  }
}
