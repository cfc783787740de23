/**
 * @typedef {import('../page-api.js').Overview} Overview
 * @typedef {import('../page-api.js').DeadLetter} DeadLetter
 */

/** Longer than the server takes for any other answer. */
const TIMEOUT_MS = 25_000;

/** What the server answered instead. Its message is written for the person who reads it. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {{ code?: string, message?: string, field?: string }} error
   */
  constructor(status, { code = 'UNKNOWN', message = `the server answered ${status}`, field }) {
    super(message);
    this.status = status;
    this.code = code;
    this.field = field;
  }
}

/** The server did not answer. */
export class UnreachableError extends Error {
  /** @param {unknown} cause */
  constructor(cause) {
    super('The dashboard’s server does not answer.', { cause });
  }
}

/**
 * @template Answer
 * @param {string} path below `api/`, its segments encoded
 * @param {Record<string, string | number | boolean | null | undefined>} [query] empty ones are left out
 * @returns {Promise<Answer>}
 * @throws ApiError, UnreachableError. Without access the page goes to where one signs in
 */
export function get(path, query = {}) {
  const given = Object.entries(query).filter(
    ([, value]) => value !== null && value !== undefined && value !== '',
  );
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  return request('GET', search.size > 0 ? `${path}?${search}` : path);
}

/**
 * @template Answer
 * @param {string} path
 * @param {object} body
 * @param {{ timeoutMs?: number }} [options]
 * @returns {Promise<Answer>}
 */
export function post(path, body, { timeoutMs } = {}) {
  return request('POST', path, body, timeoutMs);
}

/**
 * @param {string} path
 * @returns {Promise<unknown>}
 */
export function remove(path) {
  return request('DELETE', path, {});
}

/**
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<any>}
 */
async function request(method, path, body, timeoutMs = TIMEOUT_MS) {
  // The server answers a changing request only with this header, which no form of another site can send.
  const headers = body && { 'content-type': 'application/json', 'x-checkpoint-queue': 'dashboard' };
  const response = await reach(`api/${path}`, {
    method,
    headers,
    body: body && JSON.stringify(body),
    cache: 'no-store',
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (response.status === 401 && path !== 'session') {
    // The fragment stays, and leads back to where one was.
    location.replace(`login.html${location.hash}`);
  }
  const answer = await response.text().then(parse, (cause) => {
    throw new UnreachableError(cause);
  });
  if (response.ok) return answer;
  // Before a server that is away there may be a proxy, which answers in its own words.
  if (response.status >= 502 && !answer?.error) throw new UnreachableError(response.status);
  throw new ApiError(response.status, answer?.error ?? {});
}

/**
 * @param {string} url
 * @param {RequestInit} init
 */
function reach(url, init) {
  return fetch(url, init).catch((cause) => {
    throw new UnreachableError(cause);
  });
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * What went wrong, and what to do next, for people.
 * @param {unknown} error
 */
export function inWords(error) {
  if (error instanceof UnreachableError) return `${error.message} Is it running? Then try again.`;
  if (error instanceof ApiError) return `${error.message} (${error.code})`;
  console.error(error);
  return 'The page met an unexpected error; the browser’s console has it.';
}
