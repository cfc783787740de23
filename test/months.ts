/**
 * The beginning of a month, so many after this one. A table that is partitioned by month has partitions for three months ahead: what is
 * later lies in the default one.
 */
export function monthsOn(later: number): Date {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + later));
}
