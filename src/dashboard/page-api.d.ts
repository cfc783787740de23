/** What the dashboard's API answers, as its page sees it: dates are ISO strings. */

export interface Sample {
  at: string;
  waiting: number;
  active: number;
  delayed: number;
  failed: number;
  deadLetters: number;
  /** 0: nothing waits. */
  oldestAgeMs: number;
  committed: number;
  superseded: number;
  deleted: number;
  /** null: there is no sample before. */
  committedPerSecond: number | null;
  workers: number;
}

export interface WorkerReport {
  name: string;
  startedAt: number;
  breaker: 'closed' | 'open';
  breakerSince: number;
  failure?: string;
  sqlState?: string;
}

export interface Overview {
  queue: string;
  table: string;
  at: string;
  signedIn: boolean;
  redis: 'up' | 'down';
  /** `refused`: it answers, and does not let the dashboard in. */
  postgres: 'up' | 'down' | 'refused';
  /** Its own words, where it is not up. */
  postgresError: string | null;
  /** PostgreSQL's estimate; null while it is down or has none yet. */
  rows: number | null;
  now: Sample | null;
  samples: Sample[];
  workers: WorkerReport[];
}

export interface DeadLetter {
  deadLetterId: string;
  id: string;
  executionId: string;
  sequence: number;
  sqlState: string | null;
  reason: string;
  constraint?: string;
  column?: string;
  firstFailedAt: string;
  lastFailedAt: string;
  replays: number;
  jobId: string;
  worker: string;
  sink: string;
  target: string;
  bytes: number;
  payload?: { kind: 'checkpoint'; checkpoint: object } | { kind: 'raw'; bytes: number; base64: string };
}

export interface DeadLetterFilter {
  executionId?: string;
  idPrefix?: string;
  sqlState?: string;
  since?: string;
  until?: string;
  olderThan?: string;
}

export type DeadLetterSelection = { ids: string[] } | { filter: DeadLetterFilter } | { all: true };

export interface ReplayResult {
  replayed: number;
  committed: number;
  superseded: number;
  deleted: number;
  deadAgain: number;
  pending: number;
  unknown: number;
  skipped: number;
}

export interface ReplayProgress {
  done: number;
  total: number;
  finished: boolean;
  result?: ReplayResult;
  error?: { code: string; message: string };
}

/** The newest checkpoint of an execution. */
export interface RecentExecution {
  executionId: string;
  nodeName: string;
  timestamp: string;
  version: number;
}

export interface TimelineEntry {
  id: string;
  nodeName: string;
  timestamp: string;
  version: number;
  /** As PostgreSQL stores it, compressed. */
  stateBytes: number;
}

export interface Timeline {
  checkpoints: TimelineEntry[];
  next: string | null;
  /** Jobs with acknowledged saves of the execution; null while Redis is down. */
  pending: number | null;
}

export interface Change {
  path: (string | number)[];
  kind: 'added' | 'removed' | 'changed';
  before?: unknown;
  after?: unknown;
}

export interface CheckpointDetails {
  checkpoint: TimelineEntry & { executionId: string; state: unknown; metadata: unknown };
  previous: string | null;
  changes: Change[];
  truncated: boolean;
}
