import { Charts } from './charts.js';
import { element, fill } from './elements.js';
import { empty } from './table.js';
import { Tiles } from './tiles.js';
import { workersTable } from './workers.js';

/**
 * The numbers that matter, how they were in the last 15 minutes, and the workers.
 * @param {import('./live.js').Live} live
 * @returns {import('./main.js').View}
 */
export function overviewView(live) {
  const tiles = new Tiles();
  const charts = new Charts();
  const workers = element('section', { 'aria-label': 'Workers' });
  const update = () => {
    const { overview, samples } = live;
    if (!overview) return;
    tiles.update(overview);
    charts.update(samples, Date.parse(overview.at));
    if (isBeingSelected(workers)) return;
    fill(
      workers,
      element('h2', {}, 'Workers'),
      overview.workers.length > 0
        ? workersTable(overview.workers, Date.parse(overview.at))
        : empty(
            overview.redis === 'down' ? 'Not known: Redis does not answer.' : 'No worker runs.',
            'Saves are acknowledged, and wait in the queue. Start one with: ckpt worker',
          ),
    );
  };
  const node = element(
    'div',
    { class: 'overview' },
    element('h1', { class: 'unseen' }, 'Overview'),
    tiles.node,
    charts.node,
    workers,
  );
  return { title: 'Overview', node, update, close: () => charts.close() };
}

/**
 * Whether text in it is marked, to be copied, say: it would not be any more if it was made anew.
 * @param {HTMLElement} node
 */
function isBeingSelected(node) {
  const selection = getSelection();
  return selection !== null && !selection.isCollapsed && node.contains(selection.anchorNode);
}
