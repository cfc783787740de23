import { get, inWords } from './api.js';
import { CheckpointPane } from './checkpoint-pane.js';
import { element, fill } from './elements.js';
import { counted, formatBytes, formatDuration } from './format.js';
import { LatestOnly } from './latest-only.js';
import { Pager } from './pager.js';
import { linkTo } from './router.js';
import { empty } from './table.js';
import { time } from './time.js';

/**
 * @typedef {import('../page-api.js').Timeline} Timeline
 * @typedef {import('../page-api.js').TimelineEntry} TimelineEntry
 */

const PAGE = 100;
/** As the style sheet has it: the chosen checkpoint stands below all of them. */
const ONE_COLUMN = matchMedia('(max-width: 900px)');

/**
 * The checkpoints of an execution in their order; the chosen one beside them.
 * @param {string} executionId
 * @returns {import('./main.js').View}
 */
export function timelineView(executionId) {
  const view = new TimelineView(executionId);
  void view.load();
  return { title: executionId, node: view.node, close: () => view.close() };
}

class TimelineView {
  #pending = element('p', { role: 'status', class: 'pending' });
  #list = element('div', { class: 'list' }, empty('Reading…'));
  #pane;
  #loading = new LatestOnly();
  #pager = new Pager(() => void this.load());
  /** When the last checkpoint of each page was saved: the next page begins with the gap to it. @type {string[]} */
  #ends = [];

  /** @param {string} executionId */
  constructor(executionId) {
    this.executionId = executionId;
    this.#pane = new CheckpointPane(executionId);
    this.node = element(
      'div',
      {},
      element('p', { class: 'hint' }, element('a', { href: linkTo('executions') }, '‹ Executions')),
      element(
        'div',
        { class: 'heading' },
        element('h1', {}, executionId),
        element('button', { type: 'button', onclick: () => void this.load() }, 'Refresh'),
      ),
      this.#pending,
      element(
        'div',
        { class: 'timeline' },
        element('section', { 'aria-label': 'Checkpoints, oldest first' }, this.#list, this.#pager.node),
        this.#pane.node,
      ),
    );
  }

  load() {
    const path = `executions/${encodeURIComponent(this.executionId)}/checkpoints`;
    return this.#loading.run(() => get(path, { limit: PAGE, after: this.#pager.after }), {
      done: (timeline) => this.#show(timeline),
      failed: (error) =>
        fill(this.#list, element('div', { class: 'empty', role: 'alert' }, element('p', {}, inWords(error)))),
    });
  }

  close() {
    this.#loading.stop();
    this.#pane.close();
  }

  /** @param {Timeline} timeline */
  #show({ checkpoints, next, pending }) {
    fill(this.#pending, pendingWords(pending));
    this.#ends[this.#pager.page] = checkpoints.at(-1)?.timestamp ?? '';
    this.#pager.show(next);
    if (checkpoints.length === 0) {
      fill(
        this.#list,
        empty('Nothing of this execution is committed.', 'Is the id right? Saves that wait are told above.'),
      );
      return;
    }
    const before = this.#ends[this.#pager.page - 1];
    const items = checkpoints.map((entry, index) =>
      this.#item(entry, checkpoints[index - 1]?.timestamp ?? before),
    );
    fill(this.#list, element('ol', { class: 'checkpoints' }, ...items));
  }

  /**
   * @param {TimelineEntry} entry
   * @param {string | undefined} before when the one before it was saved
   */
  #item(entry, before) {
    const gap = before ? Date.parse(entry.timestamp) - Date.parse(before) : undefined;
    const choose = element(
      'button',
      {
        type: 'button',
        'aria-pressed': String(entry.id === this.#pane.chosen),
        onclick: () => {
          for (const other of this.#list.querySelectorAll('[aria-pressed="true"]'))
            other.setAttribute('aria-pressed', 'false');
          choose.setAttribute('aria-pressed', 'true');
          this.#pane.show(entry);
          if (ONE_COLUMN.matches) this.#pane.node.scrollIntoView();
        },
      },
      element('span', { class: 'node' }, entry.nodeName),
      element('span', { class: 'version' }, `version ${entry.version}`),
      element('span', { class: 'when' }, time(entry.timestamp, { milliseconds: true })),
      element('span', { class: 'size' }, `${formatBytes(entry.stateBytes)} stored`),
      element('code', { class: 'id' }, entry.id),
    );
    const gapText =
      gap === undefined ? 'first' : gap < 0 ? `−${formatDuration(-gap)}` : `+${formatDuration(gap)}`;
    return element('li', {}, element('span', { class: 'gap' }, gapText), choose);
  }
}

/** @param {number | null} pending */
function pendingWords(pending) {
  if (pending === null) return 'Whether more of it waits in the queue is not known: Redis does not answer.';
  if (pending === 0) return null;
  return `What is acknowledged in ${counted(pending, 'job')} is not committed yet.`;
}
