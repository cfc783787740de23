/**
 * @typedef {Node | string | number | null | undefined} Child
 * @typedef {string | number | boolean | null | undefined | ((event: any) => unknown)} AttributeValue
 */

/**
 * An element with attributes and children. Text becomes text nodes, never markup: what a state holds is shown as it is.
 * `onclick` and the like are listeners; `true` sets an attribute without a value; `false`, `null` and `undefined` set none.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, AttributeValue>} [attributes]
 * @param {...Child} children null and undefined are left out
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') node.addEventListener(name.slice('on'.length), value);
    else if (value === true) node.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, String(value));
  }
  fill(node, ...children);
  return node;
}

/**
 * Replaces what is in an element.
 * @param {Element} parent
 * @param {...Child} children
 */
export function fill(parent, ...children) {
  const present = children.filter((child) => child !== null && child !== undefined);
  parent.replaceChildren(...present.map((child) => (child instanceof Node ? child : String(child))));
}

/**
 * Sets a text only where it differs, so that a screen reader is not told the same again.
 * @param {Element} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * @param {string} selector
 * @returns {HTMLElement} of `index.html`, which has it
 */
export function find(selector) {
  const found = document.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`the page has no ${selector}`);
  return found;
}
