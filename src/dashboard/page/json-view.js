import { element } from './elements.js';

/** A state has up to many megabytes; a browser lays out so much text at once without stopping. */
const MAX_CHARACTERS = 500_000;

/**
 * A value as indented JSON.
 * @param {unknown} value
 * @param {string} label told to screen readers
 */
export function jsonView(value, label) {
  const text = JSON.stringify(value, null, 2) ?? 'undefined';
  const cut = text.length > MAX_CHARACTERS;
  const shown = cut ? text.slice(0, MAX_CHARACTERS) : text;
  return element(
    'div',
    { class: 'json' },
    element('pre', { tabindex: 0, role: 'region', 'aria-label': label }, shown),
    cut
      ? element(
          'p',
          { class: 'hint' },
          `The first ${MAX_CHARACTERS} of ${text.length} characters. ckpt load prints all of it.`,
        )
      : null,
  );
}

/**
 * A value on one line, shortened.
 * @param {unknown} value
 */
export function shortJson(value, maxCharacters = 400) {
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length > maxCharacters ? `${text.slice(0, maxCharacters)}… (${text.length} characters)` : text;
}
