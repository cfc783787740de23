import { deadLettersView } from './dead-letters.js';
import { fill, find } from './elements.js';
import { executionsView } from './executions.js';
import { Frame } from './frame.js';
import { Live } from './live.js';
import { overviewView } from './overview.js';
import { followRoutes } from './router.js';
import { timelineView } from './timeline.js';

/**
 * @typedef {object} View what a route shows
 * @property {string} title
 * @property {HTMLElement} node
 * @property {() => void} [update] called when the live figures have changed
 * @property {() => void} [close] called when another view takes its place
 */

const live = new Live();
const frame = new Frame(live);
/** @type {View | undefined} */
let shown;

followRoutes((route) => {
  shown?.close?.();
  const first = shown === undefined;
  shown = viewOf(route);
  fill(find('#view'), shown.node);
  shown.update?.();
  frame.show(route.view, shown.title);
  // Where one has come to is read out; not at the start, when it is anyway.
  if (!first) find('#view').focus({ preventScroll: true });
});
live.onChange(() => {
  frame.update();
  shown?.update?.();
});
live.start();

/**
 * @param {import('./router.js').Route} route
 * @returns {View}
 */
function viewOf({ view, id, query }) {
  if (view === 'dead-letters') return deadLettersView(query, live);
  if (view === 'executions') return id === undefined ? executionsView() : timelineView(id);
  return overviewView(live);
}
