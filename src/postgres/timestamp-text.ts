import { MIN_TIMESTAMP } from '../checkpoint.js';

/**
 * A date as PostgreSQL reads it in every year that both know; ISO 8601's signed years are not read. What only JavaScript
 * knows, as a bound of a list may be, is before all that is stored.
 */
export function timestampText(date: Date): string {
  if (date.getTime() < MIN_TIMESTAMP) return '-infinity';
  const year = date.getUTCFullYear();
  const rest = date.toISOString().replace(/^[+-]?\d+/, '');
  return year > 0
    ? `${String(year).padStart(4, '0')}${rest}`
    : `${String(1 - year).padStart(4, '0')}${rest} BC`;
}
