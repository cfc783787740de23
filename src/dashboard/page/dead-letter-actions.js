import { element, setText } from './elements.js';
import { counted, formatNumber } from './format.js';

/**
 * @typedef {object} Handlers
 * @property {() => void} replaySelected
 * @property {() => void} replayMatching
 * @property {() => void} purgeSelected
 * @property {() => void} purgeMatching
 */

/** What can be done with dead letters, and with how many. The buttons stay, so that none loses the focus. */
export class DeadLetterActions {
  #count = element('span', { class: 'count' });
  #replaySelected;
  #replayMatching;
  #purgeSelected;
  #purgeMatching;
  node;

  /** @param {Handlers} handlers */
  constructor({ replaySelected, replayMatching, purgeSelected, purgeMatching }) {
    this.#replaySelected = button(replaySelected);
    this.#replayMatching = button(replayMatching);
    this.#purgeSelected = button(purgeSelected, 'danger');
    this.#purgeMatching = button(purgeMatching, 'danger');
    this.node = element(
      'div',
      { class: 'actions', role: 'group', 'aria-label': 'What to do with them' },
      this.#count,
      this.#replaySelected,
      this.#replayMatching,
      this.#purgeSelected,
      this.#purgeMatching,
    );
    this.show({ selected: 0, matching: 0, isFiltered: false });
  }

  /** @param {{ selected: number, matching: number, isFiltered: boolean }} counts */
  show({ selected, matching, isFiltered }) {
    const which = isFiltered ? 'all that match' : 'all';
    setText(this.#count, isFiltered ? `${formatNumber(matching)} match` : counted(matching, 'dead letter'));
    label(this.#replaySelected, `Replay selected (${formatNumber(selected)})`, selected);
    label(this.#replayMatching, `Replay ${which} (${formatNumber(matching)})`, matching);
    label(this.#purgeSelected, `Purge selected (${formatNumber(selected)})…`, selected);
    label(this.#purgeMatching, `Purge ${which} (${formatNumber(matching)})…`, matching);
  }
}

/** @param {() => void} onclick @param {string} [kind] */
function button(onclick, kind) {
  return element('button', { type: 'button', class: kind, onclick });
}

/** @param {HTMLButtonElement} node @param {string} text @param {number} count of those that it is for */
function label(node, text, count) {
  setText(node, text);
  node.disabled = count === 0;
}
