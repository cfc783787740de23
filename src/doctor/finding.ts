/** `warning`: it works, and will not for ever or not in every case. `error`: it does not work, or a promise is broken. */
export type Severity = 'ok' | 'warning' | 'error';

/** What one check came to. Holds no data of checkpoints and no password. */
export interface Verdict {
  readonly severity: Severity;
  /** What was seen. */
  readonly seen: string;
  /** What to do about it; missing where there is nothing to do. */
  readonly todo?: string;
}

/** A verdict with the name of its check, `redis.eviction-policy` for instance, which is stable and meant for programs. */
export interface Finding extends Verdict {
  readonly check: string;
}

/** One look at one thing; `Subject` is what it is looked at through. */
export interface Check<Subject> {
  readonly name: string;
  readonly look: (subject: Subject) => Verdict | Promise<Verdict>;
}

export function ok(seen: string, todo?: string): Verdict {
  return { severity: 'ok', seen, ...(todo !== undefined && { todo }) };
}

export function warning(seen: string, todo: string): Verdict {
  return { severity: 'warning', seen, todo };
}

export function error(seen: string, todo: string): Verdict {
  return { severity: 'error', seen, todo };
}

const ORDER: readonly Severity[] = ['ok', 'warning', 'error'];

/** The first of the worst. */
export function worstOf<Seen extends Verdict>(verdicts: readonly Seen[]): Seen {
  const rank = ({ severity }: Verdict) => ORDER.indexOf(severity);
  return verdicts.reduce((found, verdict) => (rank(verdict) > rank(found) ? verdict : found));
}

/** The worst of all; `ok` of none. */
export function worst(findings: readonly Finding[]): Severity {
  return ORDER[Math.max(0, ...findings.map(({ severity }) => ORDER.indexOf(severity)))] as Severity;
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(bytes < 10 * 1024 * 1024 ? 1 : 0)} MiB`;
}
