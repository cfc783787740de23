import { ApiError, get, inWords } from './api.js';
import { DeadLetterActions } from './dead-letter-actions.js';
import { asQuery, DeadLetterFilters } from './dead-letter-filters.js';
import { DeadLetterTable } from './dead-letter-table.js';
import { element, fill } from './elements.js';
import { counted } from './format.js';
import { LatestOnly } from './latest-only.js';
import { Pager } from './pager.js';
import { PurgeDialog } from './purge-dialog.js';
import { replayPanel } from './replay-task.js';
import { linkTo } from './router.js';
import { empty } from './table.js';

/**
 * @typedef {import('../page-api.js').DeadLetter} DeadLetter
 * @typedef {import('../page-api.js').DeadLetterFilter} DeadLetterFilter
 * @typedef {import('../page-api.js').DeadLetterSelection} DeadLetterSelection
 */

const PAGE = 50;

/**
 * What PostgreSQL refuses for good: to look at, to replay, to give up.
 * @param {URLSearchParams} query the filter
 * @param {import('./live.js').Live} live
 * @returns {import('./main.js').View}
 */
export function deadLettersView(query, live) {
  const view = new DeadLettersView(query, live);
  void view.load();
  return { title: 'Dead letters', node: view.node, close: () => view.close() };
}

class DeadLettersView {
  #actions = new DeadLetterActions({
    replaySelected: () => this.#replay({ ids: this.#table.selected }),
    replayMatching: () => this.#replay(this.#isFiltered ? { filter: this.filter } : { all: true }),
    purgeSelected: () => void this.#purge({ ids: this.#table.selected }, this.#table.selected.length),
    purgeMatching: () => void this.#purgeMatching(),
  });
  #list = element('div', { 'aria-live': 'off' }, empty('Reading…'));
  #said = element('p', { role: 'status', class: 'said' });
  #loading = new LatestOnly();
  #pager = new Pager(() => void this.load());
  #table = new DeadLetterTable(() => this.#showActions());
  #dialog = new PurgeDialog();
  #count = 0;

  /** @param {URLSearchParams} query @param {import('./live.js').Live} live */
  constructor(query, live) {
    this.live = live;
    this.filters = new DeadLetterFilters(query, (filter) => this.#apply(filter));
    this.filter = this.filters.filter;
    replayPanel.onEnd = () => void this.load();
    void replayPanel.resume();
    this.node = element(
      'div',
      {},
      element(
        'div',
        { class: 'heading' },
        element('h1', {}, 'Dead letters'),
        element('button', { type: 'button', onclick: () => void this.load() }, 'Refresh'),
      ),
      element(
        'p',
        { class: 'hint' },
        'Saves that PostgreSQL refused for good. Replay them when the reason is gone: a newer save stays, and what was deleted stays deleted.',
      ),
      this.filters.node,
      this.#actions.node,
      replayPanel.node,
      this.#said,
      this.#list,
      this.#pager.node,
      this.#dialog.node,
    );
  }

  /** Reads the page that the filter and the pager say. */
  load() {
    const query = asQuery(this.filter);
    return this.#loading.run(
      () =>
        Promise.all([
          get('dead-letters', { ...query, limit: PAGE, after: this.#pager.after }),
          get('dead-letters/count', query),
        ]),
      {
        done: ([{ letters, next }, { count }]) => this.#show(letters, next, count),
        failed: (error) => this.#fail(error),
      },
    );
  }

  close() {
    this.#loading.stop();
    replayPanel.onEnd = () => {};
  }

  /** @param {DeadLetter[]} letters @param {string | null} next @param {number} count */
  #show(letters, next, count) {
    if (letters.length === 0 && this.#pager.page > 0) {
      // Those of this page are replayed or purged.
      this.#pager.restart();
      void this.load();
      return;
    }
    this.filters.tell(undefined);
    this.#count = count;
    this.#table.show(letters);
    const nothing = this.#isFiltered
      ? empty('No dead letter matches.', 'Change the filters, or clear them.')
      : empty(
          'There are no dead letters.',
          'PostgreSQL has refused nothing that was not replayed or purged since.',
        );
    fill(this.#list, letters.length > 0 ? this.#table.node : nothing);
    this.#pager.show(next);
    this.#showActions();
  }

  /** @param {unknown} error */
  #fail(error) {
    this.#count = 0;
    this.#table.show([]);
    this.#showActions();
    const told = error instanceof ApiError && this.filters.tell(error);
    const again = element('button', { type: 'button', onclick: () => void this.load() }, 'Try again');
    fill(
      this.#list,
      element(
        'div',
        { class: 'empty', role: 'alert' },
        element('p', {}, told ? 'A filter is wrong.' : inWords(error)),
        again,
      ),
    );
  }

  /** @param {DeadLetterFilter} filter */
  #apply(filter) {
    this.filter = filter;
    this.#pager.restart();
    fill(this.#said);
    const query = new URLSearchParams(Object.entries(filter));
    // Not by the address' event: the view is open already, and stays.
    history.replaceState(
      null,
      '',
      query.size > 0 ? `${linkTo('dead-letters')}?${query}` : linkTo('dead-letters'),
    );
    void this.load();
  }

  get #isFiltered() {
    return Object.keys(this.filter).length > 0;
  }

  #showActions() {
    const selected = this.#table.selected.length;
    this.#actions.show({ selected, matching: this.#count, isFiltered: this.#isFiltered });
  }

  /** @param {DeadLetterSelection} selection */
  #replay(selection) {
    fill(this.#said);
    void replayPanel.start(selection);
  }

  /** What is refused while one reads the question is not meant: so it is asked and done for what was refused until now. */
  async #purgeMatching() {
    const now = this.live.overview?.at ?? new Date().toISOString();
    const [until] = [now, this.filter.until ?? now].sort();
    const filter = { ...this.filter, until };
    try {
      const { count } = await get('dead-letters/count', asQuery(filter));
      await this.#purge({ filter }, count);
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * @param {DeadLetterSelection} selection
   * @param {number} count
   */
  async #purge(selection, count) {
    fill(this.#said);
    const purged = await this.#dialog.ask(selection, count);
    if (purged === undefined) return;
    fill(this.#said, `${counted(purged, 'dead letter')} purged.`);
    this.#pager.restart();
    await this.load();
  }
}
