import type { HttpRequest } from '../http/exchange.js';
import { SESSION_MS } from './sessions.js';

/** The session's id of a request; undefined if it brings none. */
export function sessionOf(request: HttpRequest): string | undefined {
  const name = nameFor(request);
  for (const cookie of (request.headers.cookie ?? '').split(';')) {
    const [, found, id] = /^ *([^=]+)=([\w-]+) *$/.exec(cookie) ?? [];
    if (found === name) return id;
  }
  return undefined;
}

/** For scripts out of reach, and sent with no request that another site makes. */
export function sessionCookie(request: HttpRequest, session: string): string {
  return cookie(request, session, SESSION_MS / 1000);
}

export function clearedCookie(request: HttpRequest): string {
  return cookie(request, '', 0);
}

/** For all paths: under which one a reverse proxy serves the dashboard is not known here. */
function cookie(request: HttpRequest, value: string, maxAgeSeconds: number): string {
  // A browser names its own address with what it changes, whatever proxy ends the encryption.
  const secure = request.headers.origin?.startsWith('https:') ? '; Secure' : '';
  return `${nameFor(request)}=${value}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Strict${secure}`;
}

/** Cookies know no ports: two dashboards of one machine would sign each other out. */
function nameFor(request: HttpRequest): string {
  return `ckpt_dashboard_${request.localPort}`;
}
