/**
 * What is committed so far, and when. Milliseconds of `Date.now()`, so that they may be told to another process.
 */
export interface Commits {
  /** Records that are done with: stored, superseded or deleted. */
  readonly handled: number;
  /** What the first commit held. */
  readonly firstHandled: number;
  readonly firstAt: number;
  readonly lastAt: number;
}

export const NO_COMMITS: Commits = Object.freeze({ handled: 0, firstHandled: 0, firstAt: 0, lastAt: 0 });

/** After one more commit, just now. */
export function afterCommit({ handled, firstHandled, firstAt }: Commits, records: number): Commits {
  const now = Date.now();
  const first = handled === 0;
  return {
    handled: handled + records,
    firstHandled: first ? records : firstHandled,
    firstAt: first ? now : firstAt,
    lastAt: now,
  };
}

/** Records a second from the first commit to the last, so that starting does not count. */
export function rateAfterFirst({ handled, firstHandled, firstAt, lastAt }: Commits): number {
  return ((handled - firstHandled) / (lastAt - firstAt)) * 1000;
}
