/** What became of all calls of the load. */
export class Tally {
  /** Calls that were begun. */
  acts = 0;
  readonly calls = new Map<string, number>();
  readonly errors = new Map<string, number>();
  /** Errors that no fault explains. */
  readonly unforeseen: string[] = [];
  /** Latest reads that broke their promise. */
  readonly misreads: string[] = [];
  /** Saves that took longer than their deadline allows, by far. */
  readonly late: string[] = [];
  slowestSaveMs = 0;

  /** A call of this name succeeded. */
  count(call: string): void {
    add(this.calls, call);
  }

  failed(call: string, code: string): void {
    add(this.errors, `${call} ${code}`);
  }
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
