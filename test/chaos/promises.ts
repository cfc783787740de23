/** What is wrong, one line each. */
export type Findings = Record<PromiseName, string[]>;

/** Everything that must not be, by name. */
export const PROMISES = {
  lost: 'acknowledged, not deleted, and not stored',
  stale: 'stored, though a newer save was acknowledged',
  resurrected: 'stored, though deleted afterwards',
  unexpected: 'stored as nobody saved it',
  duplicates: 'rows, or dead letters, that are there twice',
  deadLettersMissing: 'acknowledged, refused by PostgreSQL, and no dead letter',
  deadLettersUnexpected: 'dead letters that should be none',
  notRepaired: 'dead letters that were replayed when PostgreSQL took them, and are not stored',
  misreads: 'latest reads that showed something else than the latest',
  unforeseen: 'errors that no fault explains',
  late: 'saves that went on beyond their deadline',
  hung: 'calls that came to no end',
  failedJobs: 'jobs in the set of the failed ones',
  notDrained: 'jobs that were left when the time to drain was over',
  notRecovered: 'faults after which commits did not go on within a minute',
  crashes: 'processes that ended without an order, or not when they were told to',
  leftovers: 'left in Redis without a job, also after a sweep',
  told: 'states in the output of a process',
  notMade: 'faults that could not be made: of the runner, not of what it tests',
} as const;

export type PromiseName = keyof typeof PROMISES;

export function noFindings(): Findings {
  return Object.fromEntries(Object.keys(PROMISES).map((name) => [name, [] as string[]])) as Findings;
}

/** The names of those that are broken. */
export function brokenOf(findings: Findings): PromiseName[] {
  return (Object.keys(findings) as PromiseName[]).filter((name) => findings[name].length > 0);
}
