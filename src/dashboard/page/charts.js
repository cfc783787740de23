import { Chart } from './chart.js';
import { element, fill } from './elements.js';
import { formatDuration, formatNumber, formatRate } from './format.js';
import { WINDOW_MS } from './live.js';
import { empty } from './table.js';

/**
 * @typedef {import('../page-api.js').Sample} Sample
 */

/** A server that was started just now has few samples: the time axis grows with them. */
const NARROWEST_MS = 2 * 60_000;

/** @type {import('./chart.js').ChartOptions[]} */
const CHARTS = [
  {
    title: 'Queue depth',
    unit: 'jobs',
    atLeast: 10,
    format: formatNumber,
    series: [
      { name: 'waiting', colour: '--series-1', read: ({ waiting }) => waiting },
      { name: 'active', colour: '--series-2', read: ({ active }) => active },
    ],
  },
  {
    title: 'Lag',
    unit: 'age of the oldest save waiting',
    atLeast: 1000,
    format: formatDuration,
    series: [{ name: 'oldest', colour: '--series-3', read: ({ oldestAgeMs }) => oldestAgeMs }],
  },
  {
    title: 'Throughput',
    unit: 'saves committed a second',
    atLeast: 10,
    format: formatRate,
    series: [
      { name: 'committed/s', colour: '--series-4', read: ({ committedPerSecond }) => committedPerSecond },
    ],
  },
];

/** Three charts of the same minutes, with one cursor. Drawn anew when the colour scheme changes. */
export class Charts {
  node = element('section', { class: 'charts', 'aria-label': 'The last 15 minutes' });
  /** @type {Chart[]} */
  #charts = [];
  /** @type {Sample[]} */
  #samples = [];
  #until = 0;
  #dark = matchMedia('(prefers-color-scheme: dark)');
  #redraw = () => this.#drawAnew();

  constructor() {
    this.#dark.addEventListener('change', this.#redraw);
    fill(
      this.node,
      empty('No samples yet.', 'The server takes one every 2 seconds, as long as Redis answers.'),
    );
  }

  /**
   * @param {Sample[]} samples oldest first
   * @param {number} until the end of the time axis
   */
  update(samples, until) {
    this.#samples = samples;
    this.#until = until;
    if (samples.length === 0) return;
    if (this.#charts.length === 0) this.#drawAnew();
    else this.#feed();
  }

  #feed() {
    const first = Date.parse(this.#samples[0]?.at ?? '');
    const from = Math.max(this.#until - WINDOW_MS, Math.min(first, this.#until - NARROWEST_MS));
    for (const chart of this.#charts) chart.update(this.#samples, from, this.#until);
  }

  #drawAnew() {
    if (this.#samples.length === 0) return;
    for (const chart of this.#charts) chart.close();
    this.#charts = CHARTS.map((options) => new Chart(options));
    fill(this.node, ...this.#charts.map(({ node }) => node));
    this.#feed();
  }

  close() {
    this.#dark.removeEventListener('change', this.#redraw);
    for (const chart of this.#charts) chart.close();
    this.#charts = [];
  }
}
