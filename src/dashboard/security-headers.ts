import type { HttpReply } from '../http/exchange.js';

const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "font-src 'self'",
  "form-action 'self'",
  "frame-src 'self'",
  "frame-ancestors 'self'",
  "base-uri 'none'",
].join('; ');

/** bull-board has styles within its page, and a `base`. */
const BOARD_POLICY = PAGE_POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'").replace(
  "base-uri 'none'",
  "base-uri 'self'",
);

/** What tells a browser to run nothing but our files, to show the dashboard in no other site's frame, and to keep nothing. */
export function setSecurityHeaders(reply: HttpReply, part: 'page' | 'board' = 'page'): void {
  reply.headers({
    'content-security-policy': part === 'page' ? PAGE_POLICY : BOARD_POLICY,
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'SAMEORIGIN',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'cache-control': 'no-store',
  });
}
