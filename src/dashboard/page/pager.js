import { element, fill } from './elements.js';

/** Leads through a list of which only the way forward is known: remembers how it came where it is. */
export class Pager {
  node = element('nav', { class: 'pager', 'aria-label': 'Pages' });
  /** What the pages before this one began after. @type {(string | undefined)[]} */
  #before = [];
  /** What this page begins after; undefined: at the beginning. @type {string | undefined} */
  after;

  /**
   * @param {() => void} onTurn
   * @param {{ back?: string, forth?: string }} [names] of the buttons
   */
  constructor(onTurn, { back = 'Older', forth = 'Newer' } = {}) {
    this.onTurn = onTurn;
    this.names = { back, forth };
  }

  /** Back to the beginning, without telling it. */
  restart() {
    this.#before = [];
    this.after = undefined;
  }

  /** Which page this is, from 0. */
  get page() {
    return this.#before.length;
  }

  /** @param {string | null} next what the next page begins after; null: this is the last one */
  show(next) {
    const back = () => {
      this.after = this.#before.pop();
      this.onTurn();
    };
    const forth = () => {
      this.#before.push(this.after);
      this.after = next ?? undefined;
      this.onTurn();
    };
    const isOnlyPage = this.page === 0 && next === null;
    fill(
      this.node,
      isOnlyPage
        ? null
        : element(
            'button',
            { type: 'button', onclick: back, disabled: this.page === 0 },
            `‹ ${this.names.back}`,
          ),
      isOnlyPage ? null : element('span', {}, `page ${this.page + 1}`),
      isOnlyPage
        ? null
        : element(
            'button',
            { type: 'button', onclick: forth, disabled: next === null },
            `${this.names.forth} ›`,
          ),
    );
  }
}
