import { element } from './elements.js';
import { counted } from './format.js';
import { shortJson } from './json-view.js';

/**
 * @typedef {import('../page-api.js').Change} Change
 * @typedef {import('../page-api.js').CheckpointDetails} CheckpointDetails
 */

const MARKS = { added: '+', removed: '−', changed: '~' };

/**
 * What of a state is not as in the checkpoint before it.
 * @param {CheckpointDetails} details
 */
export function differenceView({ previous, changes, truncated }) {
  if (previous === null) {
    return element(
      'p',
      { class: 'hint' },
      'It is the first checkpoint of the execution: there is none before it.',
    );
  }
  const kinds = /** @type {const} */ (['added', 'removed', 'changed']);
  const counts = kinds
    .map((kind) => [kind, changes.filter((change) => change.kind === kind).length])
    .filter(([, count]) => count !== 0)
    .map(([kind, count]) => `${count} ${kind}`);
  const sum =
    changes.length === 0
      ? 'Its state is the same.'
      : `${counts.join(', ')}${truncated ? ', and more that are not shown' : ''}.`;
  return element(
    'div',
    { class: 'difference' },
    element('p', {}, 'Compared with ', element('code', {}, previous), `: ${sum}`),
    element('ul', { 'aria-label': counted(changes.length, 'change') }, ...changes.map(changeItem)),
  );
}

/** @param {Change} change */
function changeItem({ path, kind, before, after }) {
  return element(
    'li',
    { class: kind },
    element('span', { class: 'mark', 'aria-hidden': 'true' }, MARKS[kind]),
    element('code', { class: 'path' }, pathText(path)),
    element('span', { class: 'unseen' }, kind),
    kind === 'added' ? null : element('del', {}, shortJson(before)),
    kind === 'removed' ? null : element('ins', {}, shortJson(after)),
  );
}

/**
 * `messages[3].role`; keys that are no names are quoted.
 * @param {(string | number)[]} path
 */
export function pathText(path) {
  if (path.length === 0) return 'the whole state';
  const text = path.map((key) => {
    if (typeof key === 'number') return `[${key}]`;
    return /^[\p{L}_$][\p{L}\p{N}_$-]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
  });
  return text.join('').replace(/^\./, '');
}
