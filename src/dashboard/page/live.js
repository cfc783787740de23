import { get, UnreachableError } from './api.js';

/**
 * @typedef {import('../page-api.js').Overview} Overview
 * @typedef {import('../page-api.js').Sample} Sample
 */

/** The server takes a sample about as often. */
const POLL_MS = 2000;
/** As long as the server keeps samples. */
export const WINDOW_MS = 15 * 60_000;

/**
 * Asks for the overview every two seconds as long as the page is seen, whatever view is open: a Redis that is down, or a server
 * that is away, is told on all of them.
 */
export class Live {
  /** The last answer. @type {Overview | undefined} */
  overview;
  /** Oldest first, of the last 15 minutes. @type {Sample[]} */
  samples = [];
  /** Why there is no newer answer. @type {Error | undefined} */
  problem;
  /** @type {Set<() => void>} */
  #listeners = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #asking = false;

  start() {
    document.addEventListener('visibilitychange', () => this.#askAgain());
    this.#askAgain();
  }

  /**
   * @param {() => void} listener called after each answer, and when none came
   * @returns {() => void} ends it
   */
  onChange(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #askAgain() {
    clearTimeout(this.#timer);
    if (document.visibilityState === 'hidden' || this.#asking) return;
    this.#asking = true;
    this.#ask()
      .catch((error) => {
        this.problem = error;
      })
      .finally(() => {
        this.#asking = false;
        this.#timer = setTimeout(() => this.#askAgain(), POLL_MS);
        for (const listener of this.#listeners) listener();
      });
  }

  async #ask() {
    /** @type {Overview} */
    const overview = await get('overview', { since: this.samples.at(-1)?.at });
    this.problem = undefined;
    this.overview = overview;
    const oldest = Date.parse(overview.at) - WINDOW_MS;
    this.samples = [...this.samples, ...overview.samples].filter(({ at }) => Date.parse(at) >= oldest);
  }

  /** Whether the server is away, rather than in trouble. */
  get unreachable() {
    return this.problem instanceof UnreachableError;
  }
}
