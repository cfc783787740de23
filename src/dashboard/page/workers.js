import { element } from './elements.js';
import { formatDuration } from './format.js';
import { cell, table } from './table.js';
import { time } from './time.js';

/**
 * @typedef {import('../page-api.js').WorkerReport} WorkerReport
 */

/**
 * Who drains the queue, and who cannot and why.
 * @param {WorkerReport[]} workers
 * @param {number} now milliseconds since 1970, by the server's clock
 */
export function workersTable(workers, now) {
  return table(
    'Workers',
    [
      { name: 'Worker' },
      { name: 'Started' },
      { name: 'Runs for' },
      { name: 'State' },
      { name: 'Reason', kind: 'wide' },
    ],
    workers.map((worker) =>
      element(
        'tr',
        {},
        cell(element('code', {}, worker.name), 'tight'),
        cell(time(new Date(worker.startedAt).toISOString())),
        cell(formatDuration(Math.max(0, now - worker.startedAt)), 'tight'),
        cell(state(worker, now), 'tight'),
        cell(reason(worker), 'wide'),
      ),
    ),
  );
}

/** @param {WorkerReport} worker @param {number} now */
function state({ breaker, breakerSince }, now) {
  if (breaker === 'closed') return element('span', { class: 'service up' }, 'takes jobs');
  const since = formatDuration(Math.max(0, now - breakerSince));
  return element('span', { class: 'service down' }, `waits for PostgreSQL for ${since}`);
}

/** @param {WorkerReport} worker */
function reason({ breaker, failure, sqlState }) {
  if (breaker === 'closed') return '';
  return `${failure ?? 'not told'}${sqlState ? ` (SQLSTATE ${sqlState})` : ''}`;
}
