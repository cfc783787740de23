import { ApiError, get, inWords } from './api.js';
import { CheckpointPane } from './checkpoint-pane.js';
import { element, fill, setText } from './elements.js';
import { counted, formatBytes, formatDuration } from './format.js';
import { LatestOnly } from './latest-only.js';
import { Pager } from './pager.js';
import { linkTo } from './router.js';
import { empty } from './table.js';
import { time } from './time.js';

/**
 * @typedef {import('../page-api.js').Timeline} Timeline
 * @typedef {import('../page-api.js').TimelineEntry} TimelineEntry
 * @typedef {'asc' | 'desc'} Order from the oldest on, or from the newest
 */

const PAGE = 100;
const WORDS = {
  asc: { label: 'Checkpoints, oldest first', turn: 'Show newest first', back: 'Older', forth: 'Newer' },
  desc: { label: 'Checkpoints, newest first', turn: 'Show oldest first', back: 'Newer', forth: 'Older' },
};
/** As the style sheet has it: the chosen checkpoint stands below all of them. */
const ONE_COLUMN = matchMedia('(max-width: 900px)');

/**
 * The checkpoints of an execution in their order, or, where they fill more than a page, the newest first unless told otherwise; the
 * chosen one beside them.
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
  #section = element('section', {}, this.#list, this.#pager.node);
  #turn = element('button', { type: 'button', hidden: true, onclick: () => this.#turnRound() });
  /** In which they are asked for. @type {Order} */
  #order = 'desc';
  /** When the last checkpoint of each page was saved: from the oldest on, the next page begins with the gap to it. @type {string[]} */
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
        element(
          'div',
          { class: 'buttons' },
          this.#turn,
          element('button', { type: 'button', onclick: () => void this.load() }, 'Refresh'),
        ),
      ),
      this.#pending,
      element('div', { class: 'timeline' }, this.#section, this.#pane.node),
    );
  }

  load() {
    const path = `executions/${encodeURIComponent(this.executionId)}/checkpoints`;
    // One more than is shown: the gap to it.
    const query = { limit: PAGE + 1, order: this.#order, after: this.#pager.after };
    return this.#loading.run(() => get(path, query), {
      done: (timeline) => this.#show(timeline),
      failed: (error) => this.#fail(error),
    });
  }

  /** @param {unknown} error */
  #fail(error) {
    if (error instanceof ApiError && error.code === 'CHECKPOINT_NOT_FOUND') this.#beginAnew();
    else
      fill(this.#list, element('div', { class: 'empty', role: 'alert' }, element('p', {}, inWords(error))));
  }

  #beginAnew() {
    this.#pager.restart();
    void this.load();
  }

  close() {
    this.#loading.stop();
    this.#pane.close();
  }

  #turnRound() {
    this.#order = this.#order === 'asc' ? 'desc' : 'asc';
    this.#beginAnew();
  }

  /** @param {Timeline} timeline */
  #show({ checkpoints, pending }) {
    const { page } = this.#pager;
    // Those of this page are deleted.
    if (checkpoints.length === 0 && page > 0) return this.#beginAnew();
    fill(this.#pending, pendingWords(pending));
    const next = checkpoints.length > PAGE ? (checkpoints[PAGE - 1]?.id ?? null) : null;
    const isAll = page === 0 && next === null;
    if (isAll && this.#order === 'desc') checkpoints.reverse();
    const order = isAll ? 'asc' : this.#order;
    const { label, turn, ...names } = WORDS[order];
    this.#section.setAttribute('aria-label', label);
    setText(this.#turn, turn);
    this.#turn.hidden = isAll;
    this.#pager.show(next, names);
    this.#showList(checkpoints, order);
  }

  /** @param {TimelineEntry[]} checkpoints @param {Order} order */
  #showList(checkpoints, order) {
    if (checkpoints.length === 0) {
      fill(
        this.#list,
        empty('Nothing of this execution is committed.', 'Is the id right? Saves that wait are told above.'),
      );
      return;
    }
    const shown = checkpoints.slice(0, PAGE);
    const { page } = this.#pager;
    this.#ends[page] = shown.at(-1)?.timestamp ?? '';
    const items = shown.map((entry, index) => {
      const before =
        order === 'desc'
          ? checkpoints[index + 1]?.timestamp
          : (checkpoints[index - 1]?.timestamp ?? this.#ends[page - 1]);
      return this.#item(entry, before);
    });
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
