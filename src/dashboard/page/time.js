import { element } from './elements.js';
import { formatTime } from './format.js';

/**
 * A moment in local time; the exact one, in UTC, when pointed at.
 * @param {string} iso
 * @param {{ milliseconds?: boolean }} [options]
 */
export function time(iso, { milliseconds = false } = {}) {
  const date = new Date(iso);
  const fraction = milliseconds ? `.${String(date.getMilliseconds()).padStart(3, '0')}` : '';
  return element('time', { datetime: iso, title: iso }, `${formatTime(date)}${fraction}`);
}
