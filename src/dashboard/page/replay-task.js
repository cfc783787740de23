import { ApiError, get, inWords, post, remove } from './api.js';
import { element, fill, setText } from './elements.js';
import { counted, formatNumber } from './format.js';
import { replayWords } from './replay-words.js';

/**
 * @typedef {import('../page-api.js').DeadLetterSelection} DeadLetterSelection
 * @typedef {import('../page-api.js').ReplayProgress} ReplayProgress
 */

const POLL_MS = 400;
/** Under which the tab keeps the task. */
const KEPT = 'replay';

/**
 * A replay under way: how far it is, and what came of it. It runs in the server, whatever is looked at meanwhile, and is shown
 * again when one comes back to the dead letters.
 */
class ReplayPanel {
  #bar = element('progress', { 'aria-label': 'Replayed' });
  #text = element('span');
  #cancel = element('button', { type: 'button', onclick: () => this.#stop() }, 'Cancel');
  #running = element('div', { class: 'running', hidden: true }, this.#bar, this.#text, this.#cancel);
  #result = element('div', { role: 'status', 'aria-label': 'Result of the replay', class: 'result' });
  node = element('div', { class: 'replay' }, this.#running, this.#result);
  /** @type {string | undefined} */
  #task;
  #cancelled = false;
  /** Called when a replay has ended. */
  onEnd = () => {};

  /** @param {DeadLetterSelection} selection */
  async start(selection) {
    if (this.#task !== undefined) {
      fill(this.#result, element('p', {}, 'A replay is under way. Wait for it, or cancel it.'));
      return;
    }
    await this.#follow(async () => {
      const { task } = await post('dead-letters/replays', selection);
      sessionStorage.setItem(KEPT, task);
      return task;
    });
  }

  /** Goes on showing a replay that was under way when the page was loaded anew. */
  async resume() {
    const task = sessionStorage.getItem(KEPT);
    if (task !== null && this.#task === undefined) await this.#follow(async () => task);
  }

  /** @param {() => Promise<string>} begin gives the task */
  async #follow(begin) {
    fill(this.#result);
    this.#cancelled = false;
    this.#task = '';
    try {
      this.#task = await begin();
      this.#running.hidden = false;
      this.#cancel.disabled = false;
      this.#show(await this.#end(this.#task));
    } catch (error) {
      fill(this.#result, element('p', { class: 'problem' }, inWords(error)));
    } finally {
      sessionStorage.removeItem(KEPT);
      this.#task = undefined;
      this.#running.hidden = true;
      this.onEnd();
    }
  }

  /** @param {string} task @returns {Promise<ReplayProgress>} the last one */
  async #end(task) {
    for (;;) {
      const progress = await this.#progress(task);
      if (progress.finished) return progress;
      this.#showProgress(progress);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** @param {string} task @returns {Promise<ReplayProgress>} */
  async #progress(task) {
    for (;;) {
      try {
        return await get(`dead-letters/replays/${encodeURIComponent(task)}`);
      } catch (error) {
        // A server that comes back without the task says so; until then it may still be at it.
        if (error instanceof ApiError) throw error;
        setText(this.#text, inWords(error));
        await new Promise((resolve) => setTimeout(resolve, 5 * POLL_MS));
      }
    }
  }

  /** @param {ReplayProgress} progress */
  #showProgress({ done, total }) {
    this.#bar.max = Math.max(total, 1);
    this.#bar.value = done;
    const allIn = total > 0 && done >= total;
    setText(
      this.#text,
      allIn
        ? `${formatNumber(done)} are in the queue again; waiting for the workers…`
        : `${formatNumber(done)} of about ${formatNumber(total)}`,
    );
  }

  /** @param {ReplayProgress} progress */
  #show({ result, error, done, total }) {
    if (error || !result) {
      const text = `The replay broke off after ${counted(done, 'dead letter')}: ${error?.message ?? 'for no reason that is known'}. Start it again for the rest.`;
      fill(this.#result, element('p', { class: 'problem' }, text));
      return;
    }
    const stopped = this.#cancelled && done < total;
    const { summary, notes } = replayWords(result);
    fill(
      this.#result,
      element('p', {}, `${stopped ? 'Cancelled. ' : ''}${summary}`),
      ...notes.map((note) => element('p', { class: 'hint' }, note)),
    );
  }

  async #stop() {
    if (!this.#task) return;
    this.#cancelled = true;
    this.#cancel.disabled = true;
    try {
      await remove(`dead-letters/replays/${encodeURIComponent(this.#task)}`);
    } catch (error) {
      this.#cancel.disabled = false;
      setText(this.#text, inWords(error));
    }
  }
}

export const replayPanel = new ReplayPanel();
