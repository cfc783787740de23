import { element } from './elements.js';

/**
 * @typedef {{ name: string | Node, label?: string, kind?: 'number' | 'wide' | 'name' | 'tight' }} Column
 *   `name` stands at its head; `label` names it for screen readers where the head is no text
 */

/**
 * A table that scrolls by itself where it is wider than the window.
 * @param {string} caption told to screen readers only
 * @param {Column[]} columns
 * @param {HTMLTableRowElement[]} rows
 */
export function table(caption, columns, rows) {
  const heads = columns.map(({ name, label, kind }) =>
    element('th', { scope: 'col', class: kind, 'aria-label': label }, name),
  );
  return element(
    'div',
    { class: 'scroll' },
    element(
      'table',
      {},
      element('caption', { class: 'unseen' }, caption),
      element('thead', {}, element('tr', {}, ...heads)),
      element('tbody', {}, ...rows),
    ),
  );
}

/**
 * @param {import('./elements.js').Child} content
 * @param {Column['kind']} [kind]
 */
export function cell(content, kind) {
  return element('td', { class: kind }, content);
}

/**
 * @param {string} text
 * @param {string} [next] what to do
 */
export function empty(text, next) {
  return element(
    'div',
    { class: 'empty' },
    element('p', {}, text),
    next ? element('p', { class: 'hint' }, next) : null,
  );
}
