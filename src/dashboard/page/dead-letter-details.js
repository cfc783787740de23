import { get, inWords } from './api.js';
import { element, fill } from './elements.js';
import { formatBytes, formatNumber } from './format.js';
import { jsonView } from './json-view.js';
import { time } from './time.js';

/**
 * @typedef {import('../page-api.js').DeadLetter} DeadLetter
 */

/** All that is known of a dead letter; the record itself only after a further click. */
export class DeadLetterDetails {
  #payload = element('div');
  #button = element('button', { type: 'button', onclick: () => this.#toggle() }, 'Show what it holds');

  /** @param {DeadLetter} letter */
  constructor(letter) {
    this.letter = letter;
    const facts = [
      ['First refused', time(letter.firstFailedAt)],
      ['Last refused', time(letter.lastFailedAt)],
      ['Replays', formatNumber(letter.replays)],
      ['Sequence', String(letter.sequence)],
      ['Came in job', letter.jobId],
      ['Refused at worker', letter.worker],
      ['For table', `${letter.target} (${letter.sink})`],
      ['Size', formatBytes(letter.bytes)],
    ];
    this.node = element(
      'div',
      {},
      element(
        'dl',
        { class: 'facts' },
        ...facts.map(([name, value]) =>
          element('div', {}, element('dt', {}, name), element('dd', {}, value)),
        ),
      ),
      this.#button,
      this.#payload,
    );
  }

  async #toggle() {
    if (this.#payload.hasChildNodes()) {
      fill(this.#payload);
      fill(this.#button, 'Show what it holds');
      return;
    }
    try {
      /** @type {DeadLetter} */
      const { payload } = await get(`dead-letters/${encodeURIComponent(this.letter.deadLetterId)}`, {
        payload: true,
      });
      fill(this.#payload, payload ? payloadView(payload) : null);
      fill(this.#button, 'Hide what it holds');
    } catch (error) {
      fill(this.#payload, element('p', { role: 'alert', class: 'problem' }, inWords(error)));
    }
  }
}

/** @param {NonNullable<DeadLetter['payload']>} payload */
function payloadView(payload) {
  if (payload.kind === 'checkpoint') return jsonView(payload.checkpoint, 'The refused checkpoint');
  return element(
    'div',
    { class: 'json' },
    element(
      'p',
      { class: 'hint' },
      `It is no checkpoint that can be read, but ${formatBytes(payload.bytes)}, here as base64:`,
    ),
    element('pre', { tabindex: 0, role: 'region', 'aria-label': 'The refused record' }, payload.base64),
  );
}
