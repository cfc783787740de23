import { inWords, post } from './api.js';
import { element, fill } from './elements.js';
import { counted } from './format.js';

/**
 * @typedef {import('../page-api.js').DeadLetterSelection} DeadLetterSelection
 */

/** A hundred thousand dead letters take about half a minute; the server gives up after ten. */
const TIMEOUT_MS = 610_000;

/** Asks before dead letters are given up, and says how many. */
export class PurgeDialog {
  #title = element('h2', { id: 'purge-title' });
  #problem = element('p', { class: 'problem', role: 'alert' });
  #purge = element('button', { type: 'button', class: 'danger' });
  #cancel = element('button', { type: 'button', autofocus: true, onclick: () => this.#close() }, 'Keep them');
  node = element(
    'dialog',
    { 'aria-labelledby': 'purge-title' },
    this.#title,
    element(
      'p',
      {},
      'They are gone for good, with the states they hold. ',
      element('code', {}, 'ckpt dead export'),
      ' keeps them elsewhere before.',
    ),
    this.#problem,
    element('div', { class: 'buttons' }, this.#cancel, this.#purge),
  );

  #close() {
    this.node.close();
  }

  /**
   * @param {DeadLetterSelection} selection
   * @param {number} count how many it is
   * @returns {Promise<number | undefined>} how many are purged; undefined if it was thought better of
   */
  ask(selection, count) {
    fill(this.#title, `Purge ${counted(count, 'dead letter')}?`);
    fill(this.#problem);
    fill(this.#purge, `Purge ${counted(count, 'dead letter')}`);
    this.#purge.disabled = false;
    return new Promise((resolve) => {
      /** @type {number | undefined} */
      let purged;
      this.#purge.onclick = async () => {
        this.#purge.disabled = true;
        try {
          ({ purged } = await post('dead-letters/purge', selection, { timeoutMs: TIMEOUT_MS }));
          this.node.close();
        } catch (error) {
          this.#purge.disabled = false;
          fill(this.#problem, inWords(error));
        }
      };
      this.node.addEventListener('close', () => resolve(purged), { once: true });
      this.node.showModal();
    });
  }
}
