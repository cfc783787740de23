const WHOLE = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const TENTHS = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

/** @param {number} value */
export function formatNumber(value) {
  return WHOLE.format(value);
}

/** @param {number} perSecond */
export function formatRate(perSecond) {
  return perSecond < 10 ? TENTHS.format(perSecond) : WHOLE.format(perSecond);
}

/**
 * @param {number} count
 * @param {string} one such as `save`
 * @param {string} [many]
 */
export function counted(count, one, many = `${one}s`) {
  return `${formatNumber(count)} ${count === 1 ? one : many}`;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * In the two largest units.
 * @param {number} ms
 */
export function formatDuration(ms) {
  if (ms === 0) return '0 s';
  if (ms < SECOND) return `${WHOLE.format(ms)} ms`;
  if (ms < 10 * SECOND) return `${TENTHS.format(ms / SECOND)} s`;
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return twoUnits(ms, MINUTE, 'min', SECOND, 's');
  if (ms < DAY) return twoUnits(ms, HOUR, 'h', MINUTE, 'min');
  return twoUnits(ms, DAY, 'd', HOUR, 'h');
}

/**
 * @param {number} ms
 * @param {number} large
 * @param {string} largeName
 * @param {number} small
 * @param {string} smallName
 */
function twoUnits(ms, large, largeName, small, smallName) {
  const rest = Math.floor((ms % large) / small);
  const first = `${Math.floor(ms / large)} ${largeName}`;
  return rest === 0 ? first : `${first} ${rest} ${smallName}`;
}

/** @param {number} bytes */
export function formatBytes(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 ** 2) return `${TENTHS.format(bytes / 1024)} KB`;
  return `${TENTHS.format(bytes / 1024 ** 2)} MB`;
}

/**
 * Local time, in an order that nobody reads differently.
 * @param {Date} date
 */
export function formatTime(date) {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${formatClock(date)}`;
}

/** @param {Date} date */
export function formatClock(date) {
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** @param {number} value */
function two(value) {
  return String(value).padStart(2, '0');
}

/** `UTC+1`, `UTC−3:30` or `UTC`. */
export function timeZoneName(minutes = -new Date().getTimezoneOffset()) {
  if (minutes === 0) return 'UTC';
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `UTC${minutes < 0 ? '−' : '+'}${hours}${rest === 0 ? '' : `:${two(rest)}`}`;
}
