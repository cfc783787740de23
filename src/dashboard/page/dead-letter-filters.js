import { element, fill } from './elements.js';

/**
 * @typedef {import('../page-api.js').DeadLetterFilter} DeadLetterFilter
 * @typedef {{ name: keyof DeadLetterFilter, label: string, type?: string, placeholder?: string, hint?: string }} Field
 */

/** @type {Field[]} */
const FIELDS = [
  { name: 'executionId', label: 'Execution' },
  { name: 'idPrefix', label: 'Checkpoint begins with' },
  { name: 'sqlState', label: 'SQLSTATE', placeholder: '23514' },
  { name: 'since', label: 'Last refused since', type: 'datetime-local' },
  { name: 'until', label: 'Last refused before', type: 'datetime-local' },
  { name: 'olderThan', label: 'Not refused within', placeholder: '14d' },
];

/** As the API names it in a query, and in its errors. */
const EXECUTION = 'execution';

/** What narrows the dead letters down. It is kept in the address, so that it can be passed on. */
export class DeadLetterFilters {
  /** @type {Map<string, { input: HTMLInputElement, problem: HTMLElement }>} */
  #fields = new Map();

  /**
   * @param {URLSearchParams} query
   * @param {(filter: DeadLetterFilter) => void} onApply
   */
  constructor(query, onApply) {
    const inputs = FIELDS.map((field) => this.#field(field, query.get(field.name) ?? ''));
    const apply = (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      onApply(this.filter);
    };
    const clear = () => {
      for (const { input } of this.#fields.values()) input.value = '';
      onApply({});
    };
    this.node = element(
      'form',
      { class: 'filters', 'aria-label': 'Filters', onsubmit: apply },
      ...inputs,
      element('button', { type: 'submit', class: 'primary' }, 'Apply'),
      element('button', { type: 'button', onclick: clear }, 'Clear'),
    );
  }

  /** @returns {DeadLetterFilter} what is filled in; empty: all of them */
  get filter() {
    /** @type {DeadLetterFilter} */
    const filter = {};
    for (const [name, { input }] of this.#fields) {
      const text = input.value.trim();
      if (text === '') continue;
      const isTime = input.type === 'datetime-local';
      filter[/** @type {keyof DeadLetterFilter} */ (name)] = isTime ? new Date(text).toISOString() : text;
    }
    return filter;
  }

  /**
   * Says at a field what is wrong with it.
   * @param {{ field?: string | undefined, message: string } | undefined} error
   * @returns {boolean} whether there is such a field
   */
  tell(error) {
    const wrong = error?.field === EXECUTION ? 'executionId' : error?.field;
    for (const [name, { input, problem }] of this.#fields) {
      const isWrong = name === wrong;
      input.setAttribute('aria-invalid', String(isWrong));
      fill(problem, isWrong ? error?.message : null);
    }
    return wrong !== undefined && this.#fields.has(wrong);
  }

  /**
   * @param {Field} field
   * @param {string} value
   */
  #field({ name, label, type = 'text', placeholder }, value) {
    const input = element('input', {
      id: `filter-${name}`,
      name,
      type,
      placeholder,
      step: type === 'datetime-local' ? 1 : undefined,
      autocomplete: 'off',
      spellcheck: 'false',
      'aria-describedby': `filter-${name}-problem`,
    });
    input.value = type === 'datetime-local' ? localTime(value) : value;
    const problem = element('span', { id: `filter-${name}-problem`, class: 'problem', role: 'alert' });
    this.#fields.set(name, { input, problem });
    return element(
      'div',
      { class: 'field' },
      element('label', { for: `filter-${name}` }, label),
      input,
      problem,
    );
  }
}

/**
 * As the API takes it in the query of a GET.
 * @param {DeadLetterFilter} filter
 */
export function asQuery({ executionId, ...others }) {
  return { [EXECUTION]: executionId, ...others };
}

/** @param {string} iso @returns {string} as an input of this kind takes it; empty if it is none */
function localTime(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return '';
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, -'.000Z'.length);
}
