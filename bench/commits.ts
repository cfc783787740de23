/** Commits so far, and when: Milliseconds of `Date.now()`, so that they may be told to another process. */
export interface Commits {
  readonly committed: number;
  /** What the first commit held. */
  readonly firstCommitted: number;
  readonly firstAt: number;
  readonly lastAt: number;
}

export const NO_COMMITS: Commits = Object.freeze({ committed: 0, firstCommitted: 0, firstAt: 0, lastAt: 0 });

/** After one more commit, just now. */
export function afterCommit({ committed, firstCommitted, firstAt }: Commits, records: number): Commits {
  const now = Date.now();
  const first = committed === 0;
  return {
    committed: committed + records,
    firstCommitted: first ? records : firstCommitted,
    firstAt: first ? now : firstAt,
    lastAt: now,
  };
}

/** Records a second from the first commit to the last, so that starting does not count. */
export function rateAfterFirst({ committed, firstCommitted, firstAt, lastAt }: Commits): number {
  return ((committed - firstCommitted) / (lastAt - firstAt)) * 1000;
}
