import type { FaultRecord } from './fault-stream.js';

/** Milliseconds; null: none was measured. */
export interface Quantiles {
  readonly count: number;
  readonly p50: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

export interface FaultFigures {
  readonly made: number;
  /** Until a save that was called when the fault was over was committed. */
  readonly commitMs: Quantiles;
  /** Until all was committed that was acknowledged before. */
  readonly backlogMs: Quantiles;
  /** Where no other fault, or recovery from one, was under way meanwhile. */
  readonly commitAloneMs: Quantiles;
}

export function figuresOf(records: readonly FaultRecord[], all = records): FaultFigures {
  const alone = records.filter((record) => isAlone(record, all));
  return {
    made: records.length,
    commitMs: quantiles(records.map(({ commitMs }) => commitMs)),
    backlogMs: quantiles(records.map(({ backlogMs }) => backlogMs)),
    commitAloneMs: quantiles(alone.map(({ commitMs }) => commitMs)),
  };
}

/** By kind, the most frequent first. */
export function figuresByKind(records: readonly FaultRecord[]): Record<string, FaultFigures> {
  const kinds = new Map<string, FaultRecord[]>();
  for (const record of records) kinds.set(record.kind, [...(kinds.get(record.kind) ?? []), record]);
  const figures = [...kinds].map(([kind, ofKind]) => [kind, figuresOf(ofKind, records)] as const);
  return Object.fromEntries(figures.sort(([, a], [, b]) => b.made - a.made));
}

export function quantiles(values: readonly (number | undefined)[]): Quantiles {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  const at = (share: number) => {
    const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
    return value === undefined ? null : Math.round(value);
  };
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

function isAlone(record: FaultRecord, all: readonly FaultRecord[]): boolean {
  const until = record.recovered ?? Number.POSITIVE_INFINITY;
  return all.every(
    (other) =>
      other === record || other.began > until || (other.recovered ?? Number.POSITIVE_INFINITY) < record.began,
  );
}
