import { get, inWords } from './api.js';
import { differenceView } from './difference.js';
import { element, fill } from './elements.js';
import { formatBytes } from './format.js';
import { jsonView } from './json-view.js';
import { LatestOnly } from './latest-only.js';
import { empty } from './table.js';
import { time } from './time.js';

/**
 * @typedef {import('../page-api.js').TimelineEntry} TimelineEntry
 * @typedef {import('../page-api.js').CheckpointDetails} CheckpointDetails
 * @typedef {(details: CheckpointDetails) => HTMLElement} Part
 */

/** The chosen checkpoint. What its state holds is asked for, and shown, only after a click. */
export class CheckpointPane {
  node = element(
    'section',
    { class: 'pane', 'aria-label': 'Chosen checkpoint' },
    empty('No checkpoint is chosen.', 'Choose one to see what changed in it.'),
  );
  #content = element('div', { 'aria-live': 'polite' });
  #loading = new LatestOnly();
  /** Its id. @type {string | undefined} */
  chosen;

  /** @param {string} executionId */
  constructor(executionId) {
    this.executionId = executionId;
  }

  /** @param {TimelineEntry} entry */
  show(entry) {
    this.#loading.stop();
    this.chosen = entry.id;
    fill(this.#content);
    const facts = [
      ['Node', entry.nodeName],
      ['Version', String(entry.version)],
      ['Saved', time(entry.timestamp, { milliseconds: true })],
      ['Stored size', formatBytes(entry.stateBytes)],
    ];
    fill(
      this.node,
      element('h2', {}, entry.id),
      element(
        'dl',
        { class: 'facts' },
        ...facts.map(([name, value]) =>
          element('div', {}, element('dt', {}, name), element('dd', {}, value)),
        ),
      ),
      element(
        'div',
        { class: 'buttons' },
        element(
          'button',
          { type: 'button', onclick: () => this.#reveal(entry, differenceView) },
          'Difference to the one before',
        ),
        element('button', { type: 'button', onclick: () => this.#reveal(entry, wholeState) }, 'Whole state'),
      ),
      this.#content,
    );
  }

  /** Drops what is under way. */
  close() {
    this.#loading.stop();
  }

  /** @param {TimelineEntry} entry @param {Part} part */
  #reveal({ id }, part) {
    const path = `executions/${encodeURIComponent(this.executionId)}/checkpoints/${encodeURIComponent(id)}`;
    fill(this.#content, element('p', { class: 'hint' }, 'Reading…'));
    return this.#loading.run(() => get(path), {
      done: (details) => fill(this.#content, part(details)),
      failed: (error) =>
        fill(this.#content, element('p', { class: 'problem', role: 'alert' }, inWords(error))),
    });
  }
}

/** @type {Part} */
function wholeState({ checkpoint: { state, metadata } }) {
  return element(
    'div',
    {},
    element('h3', {}, 'State'),
    jsonView(state, 'State'),
    element('h3', {}, 'Metadata'),
    metadata === null ? element('p', { class: 'hint' }, 'It has none.') : jsonView(metadata, 'Metadata'),
  );
}
