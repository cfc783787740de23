import { get, inWords } from './api.js';
import { element, fill } from './elements.js';
import { formatNumber } from './format.js';
import { LatestOnly } from './latest-only.js';
import { linkTo } from './router.js';
import { cell, empty, table } from './table.js';
import { time } from './time.js';

/**
 * @typedef {import('../page-api.js').RecentExecution} RecentExecution
 */

const LIMIT = 50;

/**
 * The executions that saved last, and a way to any other.
 * @returns {import('./main.js').View}
 */
export function executionsView() {
  const list = element('div', {}, empty('Reading…'));
  const loading = new LatestOnly();
  const load = () =>
    loading.run(() => get('executions', { limit: LIMIT }), {
      done: ({ executions }) => fill(list, executionsTable(executions)),
      failed: (error) =>
        fill(list, element('div', { class: 'empty', role: 'alert' }, element('p', {}, inWords(error)))),
    });
  const node = element(
    'div',
    {},
    element('h1', {}, 'Executions'),
    openForm(),
    element(
      'div',
      { class: 'heading' },
      element('h2', {}, 'Saved last'),
      element('button', { type: 'button', onclick: load }, 'Refresh'),
    ),
    element('p', { class: 'hint' }, 'Those of the newest 1,000 checkpoints. Any other is found by its id.'),
    list,
  );
  void load();
  return { title: 'Executions', node, close: () => loading.stop() };
}

function openForm() {
  const input = element('input', {
    id: 'execution-id',
    required: true,
    autocomplete: 'off',
    spellcheck: 'false',
  });
  const open = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    location.hash = linkTo('executions', input.value.trim());
  };
  return element(
    'form',
    { class: 'filters', onsubmit: open },
    element('div', { class: 'field wide' }, element('label', { for: 'execution-id' }, 'Execution id'), input),
    element('button', { type: 'submit', class: 'primary' }, 'Open'),
  );
}

/** @param {RecentExecution[]} executions */
function executionsTable(executions) {
  if (executions.length === 0) {
    return empty('Nothing is stored yet.', 'The first save that is committed shows here.');
  }
  const columns = [
    { name: 'Execution', kind: /** @type {const} */ ('wide') },
    { name: 'Newest node' },
    { name: 'Version', kind: /** @type {const} */ ('number') },
    { name: 'Saved' },
  ];
  const rows = executions.map(({ executionId, nodeName, version, timestamp }) =>
    element(
      'tr',
      {},
      cell(element('a', { href: linkTo('executions', executionId) }, executionId), 'wide'),
      cell(nodeName),
      cell(formatNumber(version), 'number'),
      cell(time(timestamp)),
    ),
  );
  return table('Executions, the one that saved last first', columns, rows);
}
