import { DeadLetterDetails } from './dead-letter-details.js';
import { element, fill } from './elements.js';
import { formatBytes, formatNumber } from './format.js';
import { linkTo } from './router.js';
import { cell, table } from './table.js';
import { time } from './time.js';

/**
 * @typedef {import('../page-api.js').DeadLetter} DeadLetter
 */

/** Dead letters to choose from. What a record holds is shown below its row, when it is asked for. */
export class DeadLetterTable {
  node = element('div');
  /** @type {Map<string, HTMLInputElement>} */
  #boxes = new Map();
  #all = element('input', {
    type: 'checkbox',
    'aria-label': 'Select all on this page',
    onchange: () => this.#selectAll(),
  });

  /** @param {() => void} onSelect */
  constructor(onSelect) {
    this.onSelect = onSelect;
  }

  /** @param {DeadLetter[]} letters none of which is selected */
  show(letters) {
    this.#boxes.clear();
    this.#all.checked = false;
    this.#all.indeterminate = false;
    const columns = [
      { name: this.#all, label: 'Selected' },
      { name: 'Dead letter' },
      { name: 'Checkpoint' },
      { name: 'Execution' },
      { name: 'SQLSTATE' },
      { name: 'Reason', kind: /** @type {const} */ ('wide') },
      { name: 'Last refused' },
      { name: 'Replays', kind: /** @type {const} */ ('number') },
      { name: 'Size', kind: /** @type {const} */ ('number') },
      { name: '', label: 'Details' },
    ];
    fill(
      this.node,
      table(
        'Dead letters, oldest save first',
        columns,
        letters.flatMap((letter) => this.#rows(letter, columns.length)),
      ),
    );
  }

  /** @returns {string[]} the ids */
  get selected() {
    return [...this.#boxes].filter(([, box]) => box.checked).map(([id]) => id);
  }

  /** @param {DeadLetter} letter @param {number} width in columns */
  #rows(letter, width) {
    const { deadLetterId } = letter;
    const box = element('input', {
      type: 'checkbox',
      'aria-label': `Select ${deadLetterId}`,
      onchange: () => this.#selectOne(),
    });
    this.#boxes.set(deadLetterId, box);
    const details = element('tr', { class: 'details', id: `details-${deadLetterId}`, hidden: true });
    const show = element(
      'button',
      {
        type: 'button',
        class: 'quiet',
        'aria-expanded': 'false',
        'aria-controls': details.id,
        'aria-label': `Show ${deadLetterId}`,
        onclick: () => {
          details.hidden = !details.hidden;
          show.setAttribute('aria-expanded', String(!details.hidden));
          fill(show, details.hidden ? 'Show' : 'Hide');
          // What was shown of a state is gone from the page when it is closed.
          fill(
            details,
            details.hidden ? null : element('td', { colspan: width }, new DeadLetterDetails(letter).node),
          );
        },
      },
      'Show',
    );
    const row = element(
      'tr',
      {},
      cell(box),
      cell(element('code', {}, deadLetterId), 'tight'),
      cell(element('code', {}, letter.id), 'name'),
      cell(element('a', { href: linkTo('executions', letter.executionId) }, letter.executionId), 'name'),
      cell(letter.sqlState ?? 'none'),
      cell(letter.reason, 'wide'),
      cell(time(letter.lastFailedAt)),
      cell(formatNumber(letter.replays), 'number'),
      cell(formatBytes(letter.bytes), 'number'),
      cell(show),
    );
    return [row, details];
  }

  #selectAll() {
    for (const box of this.#boxes.values()) box.checked = this.#all.checked;
    this.onSelect();
  }

  #selectOne() {
    const count = this.selected.length;
    this.#all.checked = count === this.#boxes.size;
    this.#all.indeterminate = count > 0 && count < this.#boxes.size;
    this.onSelect();
  }
}
