import { element, setText } from './elements.js';
import { formatClock } from './format.js';
import uPlot from './vendor/uPlot.esm.js';

/**
 * @typedef {import('../page-api.js').Sample} Sample
 * @typedef {{ name: string, colour: string, read: (sample: Sample) => number | null }} Series
 *   `colour` is a property of the style sheet
 * @typedef {object} ChartOptions
 * @property {string} title
 * @property {string} unit
 * @property {number} atLeast what the axis reaches to, so that little is not drawn as much
 * @property {(value: number) => string} format
 * @property {Series[]} series
 */

/** As the style sheet has it, in pixels. */
const HEIGHT = 128;
/** A line is broken where no sample was taken for so long; five were due. */
const GAP_MS = 10_000;

/** Some values of the samples against time. Above it the newest ones, or those under the cursor. */
export class Chart {
  /** @type {import('uplot') | undefined} */
  #plot;
  /** @type {(number | null)[][]} seconds since 1970, then the values of each series */
  #data = [];
  #bounds = { from: 0, until: 0 };
  #canvas = element('div', { class: 'plot' });
  #readings;
  #resized = new ResizeObserver(() => this.#resize());

  /** @param {ChartOptions} options */
  constructor(options) {
    this.options = options;
    this.#readings = options.series.map(() => element('b'));
    const legend = options.series.map(({ name }, index) =>
      element(
        'span',
        { class: `reading ${options.series[index]?.colour.slice(2)}` },
        name,
        ' ',
        this.#readings[index],
      ),
    );
    this.node = element(
      'figure',
      { 'aria-label': options.title },
      element(
        'figcaption',
        {},
        element('span', {}, element('b', {}, options.title), ' ', element('small', {}, options.unit)),
        element('span', { class: 'legend' }, ...legend),
      ),
      this.#canvas,
    );
    this.#resized.observe(this.#canvas);
  }

  /**
   * @param {Sample[]} samples
   * @param {number} from milliseconds since 1970
   * @param {number} until
   */
  update(samples, from, until) {
    this.#bounds = { from: from / 1000, until: until / 1000 };
    this.#data = columns(samples, this.options.series);
    this.#plot?.setData(/** @type {any} */ (this.#data));
    this.#read(this.#plot?.cursor.idx);
  }

  #resize() {
    const width = Math.floor(this.#canvas.clientWidth);
    if (width === 0) return;
    if (this.#plot) this.#plot.setSize({ width, height: HEIGHT });
    else this.#plot = new uPlot(this.#uPlotOptions(width), /** @type {any} */ (this.#data), this.#canvas);
  }

  /** @param {number | null | undefined} index of the sample under the cursor */
  #read(index) {
    this.#readings.forEach((reading, series) => {
      const values = this.#data[series + 1] ?? [];
      const value =
        index === null || index === undefined ? values.findLast((each) => each !== null) : values[index];
      setText(reading, value === null || value === undefined ? '–' : this.options.format(value));
    });
  }

  /**
   * @param {number} width
   * @returns {import('uplot').Options}
   */
  #uPlotOptions(width) {
    const { series, format, atLeast } = this.options;
    const styles = getComputedStyle(document.documentElement);
    const colour = (/** @type {string} */ name) => styles.getPropertyValue(name).trim();
    const axis = {
      stroke: colour('--muted'),
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { show: false },
      font: '11px system-ui, sans-serif',
    };
    return {
      width,
      height: HEIGHT,
      padding: [8, 18, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: 'overview' }, y: false, drag: { x: false, y: false } },
      scales: {
        x: { range: () => [this.#bounds.from, this.#bounds.until] },
        y: { range: (_, __, max) => [0, Math.max(atLeast, max * 1.1)] },
      },
      axes: [
        {
          ...axis,
          space: 80,
          size: 24,
          values: (_, splits, __, ___, step) => splits.map((at) => clock(at, step)),
        },
        { ...axis, space: 24, size: 58, values: (_, splits) => splits.map((value) => format(value)) },
      ],
      series: [
        {},
        ...series.map(({ name, colour: stroke }) => ({
          label: name,
          stroke: colour(stroke),
          fill: `${colour(stroke)}1f`,
          width: 1.5,
          points: { show: false },
        })),
      ],
      hooks: { setCursor: [(plot) => this.#read(plot.cursor.idx)] },
    };
  }

  close() {
    this.#resized.disconnect();
    this.#plot?.destroy();
  }
}

/**
 * @param {Sample[]} samples
 * @param {Series[]} series
 * @returns {(number | null)[][]}
 */
function columns(samples, series) {
  /** @type {{ at: number, sample?: Sample }[]} */
  const points = [];
  for (const sample of samples) {
    const at = Date.parse(sample.at);
    const before = points.at(-1)?.at ?? at;
    if (at - before > GAP_MS) points.push({ at: before + 1 });
    points.push({ at, sample });
  }
  return [
    points.map(({ at }) => at / 1000),
    ...series.map(({ read }) => points.map(({ sample }) => (sample ? read(sample) : null))),
  ];
}

/**
 * @param {number} seconds since 1970
 * @param {number} step to the next label, in seconds
 */
function clock(seconds, step) {
  const text = formatClock(new Date(seconds * 1000));
  return step < 60 ? text : text.slice(0, -':00'.length);
}
