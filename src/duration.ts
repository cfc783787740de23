const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The longest age that may be asked for: a thousand years, so that a time so long ago is one that PostgreSQL knows. */
export const MAX_AGE_MS = 1000 * 366 * 86_400_000;

/** What such a text looks like, for messages. */
export const DURATION_FORM = 'a number and s, m, h or d, as 14d';

/** Milliseconds of `90s`, `15m`, `36h` or `30d`; undefined for other texts, and for more than a thousand years. */
export function parseDuration(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const ms = Number(count) * (UNIT_MS[unit ?? ''] ?? Number.NaN);
  return ms <= MAX_AGE_MS ? ms : undefined;
}

/** A day, or a time on it, in ISO 8601; undefined for other texts, and for a 31st of February, which Date takes for a day of March. */
export function parseTime(text: string): Date | undefined {
  const [, day] = /^(\d{4}-\d{2}-\d{2})(?:$|T)/.exec(text) ?? [];
  const midnight = new Date(`${day}T00:00:00Z`);
  const exists = !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(`${day}T`);
  const time = new Date(text);
  return exists && !Number.isNaN(time.getTime()) ? time : undefined;
}
