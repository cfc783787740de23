import type { HttpReply, HttpRequest } from '../http/exchange.js';
import type { Access, Identity } from './access.js';
import { isLoopback } from './access.js';
import { RequestError } from './answers.js';
import { sessionOf } from './cookie.js';

/** What the page's own requests carry. Another site's page can send it only with our leave, which is never given. */
export const REQUEST_HEADER = { name: 'x-checkpoint-queue', value: 'dashboard' };

/** Methods that change nothing. */
export const READING: ReadonlySet<string> = new Set(['GET', 'HEAD']);
/** What proxies say of whom they ask for. */
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-real-ip'];

/** Decides which requests come in. */
export class Door {
  constructor(private readonly access: Access) {}

  identityOf(request: HttpRequest): Identity | undefined {
    const { authorization } = request.headers;
    return this.access.identify({ authorization, session: sessionOf(request), address: request.ip });
  }

  /**
   * Where no token is needed, only for a request that names this machine: a page whose host name was made to mean 127.0.0.1 (DNS
   * rebinding) still names its own. What a proxy brings from elsewhere may name it too. @throws RequestError
   */
  readonly checkHost = async ({ headers }: HttpRequest): Promise<void> => {
    if (this.access.needsToken) return;
    const isForwarded = FORWARDED.some((name) => headers[name] !== undefined);
    if (!isForwarded && isLoopback(hostNameOf(headers.host ?? ''))) return;
    throw new RequestError(
      403,
      'FORBIDDEN_HOST',
      'without CKPT_DASHBOARD_TOKEN the dashboard answers only as localhost or 127.0.0.1, and through no proxy',
    );
  };

  /**
   * What changes something must come from the page itself, or from no browser at all. Another site may lead a person here, and have
   * nothing read: not even how long that takes. @throws RequestError
   */
  readonly checkOrigin = async (request: HttpRequest): Promise<void> => {
    if (READING.has(request.method)) {
      const { 'sec-fetch-site': site = 'none', 'sec-fetch-mode': mode } = request.headers;
      if (site === 'none' || site === 'same-origin' || mode === 'navigate') return;
      throw new RequestError(403, 'FORBIDDEN_ORIGIN', 'another site asks for this');
    }
    if (request.headers[REQUEST_HEADER.name] === REQUEST_HEADER.value && isSameOrigin(request)) return;
    throw new RequestError(
      403,
      'FORBIDDEN_ORIGIN',
      `this must come from the dashboard's page, with the header X-Checkpoint-Queue: ${REQUEST_HEADER.value}`,
    );
  };

  /** @throws RequestError */
  readonly checkAccess = async (request: HttpRequest, reply: HttpReply): Promise<void> => {
    if (this.identityOf(request) !== undefined) return;
    reply.header('www-authenticate', 'Bearer');
    throw new RequestError(401, 'UNAUTHORIZED', 'sign in, or send the token as "Authorization: Bearer …"');
  };

  /** Sends who may not come in to the page where he can sign in. @param base path of the dashboard */
  readonly redirectStrangers =
    (base: string) =>
    async (request: HttpRequest, reply: HttpReply): Promise<unknown> => {
      if (this.identityOf(request) !== undefined) return undefined;
      const [path = ''] = request.url.slice(base.length + 1).split('?', 1);
      // Relative, as it may be behind a path of a reverse proxy.
      const up = '../'.repeat(path.split('/').length - 1);
      return reply.redirect(`${up || './'}login.html`);
    };
}

function isSameOrigin({ headers }: HttpRequest): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin';
  // Browsers leave it out where the connection is not encrypted; then the origin has to be the host.
  if (headers.origin === undefined) return true;
  return URL.canParse(headers.origin) && new URL(headers.origin).host === headers.host;
}

function hostNameOf(host: string): string {
  return URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : '';
}
