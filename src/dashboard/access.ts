import { createHash, timingSafeEqual } from 'node:crypto';
import { InvalidConfigError } from '../errors.js';
import { RequestError } from './answers.js';
import { FailureLimit } from './failure-limit.js';
import { Sessions } from './sessions.js';

/** What a request brings to be let in. */
export interface Credentials {
  /** The header `Authorization`. */
  readonly authorization: string | undefined;
  /** The id of a session, from the cookie. */
  readonly session: string | undefined;
  /** Where it comes from. */
  readonly address: string;
}

/** `anyone`: no token is needed. */
export type Identity = 'anyone' | 'token' | 'session';

/** Enough for who has mistyped. What protects the token is its length, of at least 16 characters; this keeps scripts that guess quiet. */
const WRONG_TOKENS = { failures: 10, withinMs: 60_000 };

/**
 * Whether a dashboard that listens at this address may do so. Others than this machine reach it only with a token.
 * @throws InvalidConfigError naming CKPT_DASHBOARD_TOKEN
 */
export function assertProtected(host: string, token: string | undefined): void {
  if (token !== undefined || isLoopback(host)) return;
  throw new InvalidConfigError(
    'CKPT_DASHBOARD_TOKEN',
    'must be set where others than this machine can reach the dashboard. To make one: openssl rand -hex 32',
  );
}

/** A name or an address of this machine that no other one can reach. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  return name === 'localhost' || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name);
}

/** Who may use the dashboard: who knows the token, or has a session for having known it. Without a token, anyone. */
export class Access {
  readonly #token: Buffer | undefined;
  readonly #sessions: Sessions;
  readonly #wrongHeaders: FailureLimit;
  readonly #wrongSignIns: FailureLimit;

  /** @param now milliseconds of a clock that does not go back */
  constructor(token: string | undefined, now?: () => number) {
    this.#token = token === undefined ? undefined : hashOf(token);
    this.#sessions = new Sessions(now);
    this.#wrongHeaders = new FailureLimit({ ...WRONG_TOKENS, now });
    this.#wrongSignIns = new FailureLimit({ ...WRONG_TOKENS, now });
  }

  get needsToken(): boolean {
    return this.#token !== undefined;
  }

  /** Undefined for who may not come in. @throws RequestError after too many wrong tokens */
  identify({ authorization, session, address }: Credentials): Identity | undefined {
    if (!this.#token) return 'anyone';
    if (session !== undefined && this.#sessions.has(session)) return 'session';
    const [, token] = /^Bearer +(\S+) *$/i.exec(authorization ?? '') ?? [];
    if (token === undefined) return undefined;
    return this.#isRight(token, address, this.#wrongHeaders) ? 'token' : undefined;
  }

  /** @returns the id of a new session; undefined if the token is wrong, or none is needed. @throws RequestError */
  signIn(token: string, address: string): string | undefined {
    if (!this.#token || !this.#isRight(token, address, this.#wrongSignIns)) return undefined;
    return this.#sessions.begin();
  }

  signOut(session: string): void {
    this.#sessions.end(session);
  }

  /** The right token is let in whatever came before: everybody behind a proxy has one address. */
  #isRight(token: string, address: string, wrong: FailureLimit): boolean {
    // Of hashes, which have one length: the time it takes tells nothing.
    if (this.#token !== undefined && timingSafeEqual(hashOf(token), this.#token)) return true;
    if (wrong.reached(address)) {
      throw new RequestError(429, 'TOO_MANY_ATTEMPTS', 'too many wrong tokens: wait a minute');
    }
    wrong.note(address);
    return false;
  }
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
