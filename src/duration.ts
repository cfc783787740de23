const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** What such a text looks like, for messages. */
export const DURATION_FORM = 'a number and s, m, h or d, as 14d';

/** Milliseconds of `90s`, `15m`, `36h` or `30d`; undefined for other texts. */
export function parseDuration(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  return count && unit ? Number(count) * (UNIT_MS[unit] as number) : undefined;
}
