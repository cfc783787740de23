/**
 * What the fragment of the address says: which view, of what.
 * @typedef {{ view: string, id: string | undefined, query: URLSearchParams }} Route
 */

/**
 * `#/executions/run%2F1` is the view `executions` of `run/1`; `#/` and anything that is no route is the view ``.
 * @param {string} hash
 * @returns {Route}
 */
export function parseRoute(hash) {
  const [path = '', query] = hash.replace(/^#\/?/, '').split('?', 2);
  const [view = '', id] = path.split('/', 2);
  return { view, id: id ? decode(id) : undefined, query: new URLSearchParams(query) };
}

/**
 * @param {string} view
 * @param {string} [id]
 */
export function linkTo(view, id) {
  return id === undefined ? `#/${view}` : `#/${view}/${encodeURIComponent(id)}`;
}

/**
 * Calls `show` with the route now, and with each that comes.
 * @param {(route: Route) => void} show
 */
export function followRoutes(show) {
  const follow = () => {
    // `#view` is the way past the head of the page, and no route.
    if (location.hash === '' || location.hash.startsWith('#/')) show(parseRoute(location.hash));
  };
  addEventListener('hashchange', follow);
  show(parseRoute(location.hash));
}

/** @param {string} segment */
function decode(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment; // typed by hand, with a % that stands for itself
  }
}
