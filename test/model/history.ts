/**
 * What happened in one sequence, as an outsider sees it who writes down when each operation was called and when it
 * returned. Times are counted, not measured: of two events the later one has the higher number.
 */
export interface History {
  readonly saves: readonly Save[];
  readonly removals: readonly Removal[];
  readonly reads: readonly Read[];
  readonly answers: readonly Answer[];
  /** What the table holds when everything has settled. */
  readonly rows: readonly Row[];
  /** Operations that ended with an error. */
  readonly failures: readonly Failure[];
  /** What was done to the pipeline that lets operations fail. */
  readonly disturbances: readonly Disturbance[];
  /** Saves that failed and may be stored all the same, now or later. */
  readonly doubtful: readonly DoubtfulSave[];
  /** What should have been refused and was not. */
  readonly accepted: readonly string[];
}

export interface Operation {
  readonly producer: number;
  readonly called: number;
  readonly returned: number;
}

/** What identifies the content of a checkpoint: a save puts its token into the state. */
export interface Content {
  readonly token: string;
  readonly id: string;
  readonly executionId: string;
  readonly version: number;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
}

/** A save that was acknowledged. */
export interface Save extends Content, Operation {
  readonly sequence: number;
}

export interface Row extends Content {
  readonly sequence: number;
}

export interface Removal extends Operation {
  readonly scope: 'checkpoint' | 'execution';
  readonly key: string;
  /** It may have removed something all the same. */
  readonly failed?: boolean;
}

/** A read with `consistency: 'latest'`. */
export interface Read extends Operation {
  readonly view: 'load' | 'latest' | 'list';
  /** An id for `load`, else an execution. */
  readonly key: string;
  readonly shown: readonly Content[];
}

/** What `committed()` of a receipt answered. */
export interface Answer extends Operation {
  readonly token: string;
  readonly outcome: 'committed' | 'superseded' | 'deleted';
  /** Whether it was asked when everything had settled. */
  readonly final: boolean;
}

export interface Failure extends Operation {
  readonly what: string;
  readonly code: string;
}

/** A connection of the producer was lost at some time after the call, or the last sequence in Redis was damaged from call to return. */
export interface Disturbance extends Operation {
  readonly kind: 'cut' | 'damage';
}

export interface DoubtfulSave extends Content, Operation {}

/** In place of a producer, where none did it. */
export const NO_PRODUCER = -1;

/** Whether `a` was over before `b` began. */
export function isBefore(a: Operation, b: Operation): boolean {
  return a.returned < b.called;
}

/** Also if one producer called `a` first and did not wait for it. */
export function isOrdered(a: Operation, b: Operation): boolean {
  return isBefore(a, b) || (a.producer === b.producer && a.called < b.called);
}

export function covers(removal: Removal, { id, executionId }: Pick<Content, 'id' | 'executionId'>): boolean {
  return removal.key === (removal.scope === 'checkpoint' ? id : executionId);
}

/** Whether `a` wins over `b`, a save of the same id (P2). */
export function wins(a: Save, b: Save): boolean {
  return a.version > b.version || (a.version === b.version && a.sequence > b.sequence);
}

/** The order of `list`, whose last one is `latest`: time, then version, then the order of saving. */
export function comesAfter(a: Save, b: Save): boolean {
  if (a.timestamp !== b.timestamp) return a.timestamp > b.timestamp;
  return wins(a, b);
}
