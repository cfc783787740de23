import { element, setText } from './elements.js';

/**
 * Leads through a list of which only the way forward is known: remembers how it came where it is. The buttons stay, so that none
 * loses the focus.
 */
export class Pager {
  #back = element('button', { type: 'button', onclick: () => this.#goBack() });
  #number = element('span');
  #forth = element('button', { type: 'button', onclick: () => this.#goForth() });
  node = element(
    'nav',
    { class: 'pager', 'aria-label': 'Pages', hidden: true },
    this.#back,
    this.#number,
    this.#forth,
  );
  /** What the pages before this one began after. @type {(string | undefined)[]} */
  #before = [];
  /** What this page begins after; undefined: at the beginning. @type {string | undefined} */
  after;
  /** What the next page begins after. @type {string | null} */
  #next = null;

  /** @param {() => void} onTurn */
  constructor(onTurn) {
    this.onTurn = onTurn;
  }

  /** Back to the beginning, without telling it. */
  restart() {
    this.#before = [];
    this.after = undefined;
    this.#next = null;
  }

  /** Which page this is, from 0. */
  get page() {
    return this.#before.length;
  }

  /**
   * @param {string | null} next what the next page begins after; null: this is the last one
   * @param {{ back?: string, forth?: string }} [names] of the buttons
   */
  show(next, { back = 'Older', forth = 'Newer' } = {}) {
    this.#next = next;
    setText(this.#back, `‹ ${back}`);
    setText(this.#number, `page ${this.page + 1}`);
    setText(this.#forth, `${forth} ›`);
    this.#back.disabled = this.page === 0;
    this.#forth.disabled = next === null;
    this.node.hidden = this.page === 0 && next === null;
  }

  #goBack() {
    this.after = this.#before.pop();
    this.#turn();
  }

  #goForth() {
    // Pressed again before the page has come.
    if (this.#next === null) return;
    this.#before.push(this.after);
    this.after = this.#next;
    this.#next = null;
    this.#turn();
  }

  #turn() {
    // One was at the end of the page before.
    this.node.parentElement?.scrollIntoView();
    this.onTurn();
  }
}
