import { element, setText } from './elements.js';
import { counted, formatDuration, formatNumber, formatRate } from './format.js';

/**
 * @typedef {import('../page-api.js').Overview} Overview
 * @typedef {{ value: string, more?: string, state?: 'bad' | 'warn' | undefined }} Reading
 */

/** As `ckpt doctor` has it. */
const OLD_MS = 60_000;
const TOO_OLD_MS = 600_000;
const UNKNOWN = '–';

/** @type {{ label: string, href?: string, read: (overview: Overview) => Reading }[]} */
const TILES = [
  {
    label: 'Waiting jobs',
    read: ({ now }) => ({
      value: now ? formatNumber(now.waiting) : UNKNOWN,
      more: now ? `${formatNumber(now.active)} active, ${formatNumber(now.delayed)} delayed` : '',
    }),
  },
  {
    label: 'Oldest save waiting',
    read: ({ now }) => ({
      value: now ? (now.oldestAgeMs === 0 ? 'none' : formatDuration(now.oldestAgeMs)) : UNKNOWN,
      more: now?.oldestAgeMs === 0 ? 'all is committed' : 'not committed yet',
      state: now ? ageState(now.oldestAgeMs) : undefined,
    }),
  },
  {
    label: 'Committed a second',
    read: ({ now }) => ({
      value: now && now.committedPerSecond !== null ? formatRate(now.committedPerSecond) : UNKNOWN,
      more: now ? `${formatNumber(now.committed)} in all` : '',
    }),
  },
  {
    label: 'Dead letters',
    href: '#/dead-letters',
    read: ({ now }) => ({
      value: now ? formatNumber(now.deadLetters) : UNKNOWN,
      more: 'refused by PostgreSQL',
      state: now && now.deadLetters > 0 ? 'warn' : undefined,
    }),
  },
  {
    label: 'Failed jobs',
    href: 'queues/',
    read: ({ now }) => ({
      value: now ? formatNumber(now.failed) : UNKNOWN,
      more: 'cannot be read',
      state: now && now.failed > 0 ? 'bad' : undefined,
    }),
  },
  { label: 'Workers', read: readWorkers },
  {
    label: 'Rows stored',
    read: ({ rows, postgres, now }) => ({
      value: rows === null ? UNKNOWN : `≈ ${formatNumber(rows)}`,
      more:
        rows === null && postgres === 'up'
          ? 'not analysed yet'
          : now
            ? `${formatNumber(now.superseded)} superseded, ${formatNumber(now.deleted)} deleted`
            : '',
    }),
  },
];

/** @param {Overview} overview @returns {Reading} */
function readWorkers({ workers, redis }) {
  if (redis === 'down') return { value: UNKNOWN };
  const open = workers.filter(({ breaker }) => breaker === 'open').length;
  return {
    value: formatNumber(workers.length),
    more:
      open > 0
        ? `${counted(open, 'waits', 'wait')} for PostgreSQL`
        : workers.length > 0
          ? 'all take jobs'
          : 'nobody commits',
    state: open > 0 || workers.length === 0 ? 'bad' : undefined,
  };
}

/** @param {number} ms @returns {Reading['state']} */
function ageState(ms) {
  if (ms >= TOO_OLD_MS) return 'bad';
  return ms >= OLD_MS ? 'warn' : undefined;
}

/** The numbers that matter; coloured only where something is wrong. */
export class Tiles {
  #tiles = TILES.map(({ label, href, read }) => {
    const value = element('span', { class: 'value' }, UNKNOWN);
    const more = element('span', { class: 'more' });
    const name = href ? element('a', { href }, label) : label;
    const node = element('div', { class: 'tile' }, element('dt', {}, name), element('dd', {}, value, more));
    return { node, value, more, read };
  });
  node = element('dl', { class: 'tiles', 'aria-label': 'Now' }, ...this.#tiles.map(({ node }) => node));

  /** @param {Overview} overview */
  update(overview) {
    for (const { node, value, more, read } of this.#tiles) {
      const reading = read(overview);
      setText(value, reading.value);
      setText(more, reading.more ?? '');
      node.dataset.state = reading.state ?? 'good';
    }
  }
}
