import type { Period } from './identifiers.js';

/** A partition as it is, or as it is to be made: from a time on, and before another one. */
export interface Partition {
  readonly name: string;
  readonly from: Date;
  readonly to: Date;
}

/** Partitions that are there beforehand: enough that a server which refuses the lock for days leaves no row without one. */
const AHEAD: Readonly<Record<Period, number>> = { month: 3, day: 14 };

/** The partitions from that of a time to the last one that is made ahead of another. */
export function partitionsWanted(
  table: string,
  period: Period,
  { from, now }: { from: Date; now: Date },
): Partition[] {
  const wanted: Partition[] = [];
  const end = startOf(period, now, AHEAD[period] + 1);
  for (let start = startOf(period, from < now ? from : now); start < end; ) {
    const next = startOf(period, start, 1);
    const digits = start
      .toISOString()
      .slice(0, period === 'month' ? 7 : 10)
      .replaceAll('-', '');
    wanted.push({ name: `${table}_p${digits}`, from: start, to: next });
    start = next;
  }
  return wanted;
}

export function overlap(a: Partition, b: Partition): boolean {
  return a.from < b.to && b.from < a.to;
}

/** The beginning of the period of a time, or of one so many periods later; in UTC. */
function startOf(period: Period, time: Date, later = 0): Date {
  const [year, month, day] = [time.getUTCFullYear(), time.getUTCMonth(), time.getUTCDate()];
  return new Date(period === 'month' ? Date.UTC(year, month + later) : Date.UTC(year, month, day + later));
}
