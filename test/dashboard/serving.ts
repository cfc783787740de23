import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { onTestFinished } from 'vitest';
import { DashboardServer, type DashboardServerConfig } from '../../src/dashboard/server.js';
import type { Logger } from '../../src/logger.js';
import type { Place } from '../store/place.js';

export const TOKEN = 'a-token-of-the-tests';

export interface Answer<T = unknown> {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Of JSON. */
  readonly body: T;
}

export interface Asking {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON; a string as it is. */
  readonly body?: unknown;
}

/** A dashboard that runs, and how to ask it. Paths are relative to it. */
export interface Serving {
  readonly server: DashboardServer;
  readonly port: number;
  get<T = never>(path: string, headers?: Asking['headers']): Promise<Answer<T>>;
  /** As the page does, with its header. */
  post<T = never>(path: string, body: unknown, headers?: Asking['headers']): Promise<Answer<T>>;
  /** Exactly this; a path that begins with a slash is taken from the root. */
  ask<T = never>(path: string, asking?: Asking): Promise<Answer<T>>;
}

/** Serves a dashboard of the place at a free port; closed with the test. */
export async function serveDashboard(
  { redis, postgres, schema, queue, keys }: Place,
  options: Partial<DashboardServerConfig> = {},
  logger?: Logger,
): Promise<Serving> {
  const place = { redis, postgres, schema, queue, prefix: keys.prefix, table: 'checkpoints' };
  const server = await DashboardServer.start(
    { ...place, enqueueTimeoutMs: 5000, host: '127.0.0.1', port: 0, ...options },
    logger,
  );
  onTestFinished(() => server.close());
  const base = new URL(server.url);
  const port = Number(base.port);
  // Not `fetch`, which sends no Host, Origin or path of one's own choice.
  const ask = <T>(path: string, asking: Asking = {}) =>
    send<T>({ port, path: path.startsWith('/') ? path : base.pathname + path, ...asking });
  return {
    server,
    port,
    ask,
    get: (path, headers) => ask(path, { headers }),
    post: (path, body, headers) =>
      ask(path, { method: 'POST', body, headers: { ...PAGE_HEADERS, ...headers } }),
  };
}

/** Every way in: the API, and bull-board's own. */
export const PROTECTED = [
  'api/overview',
  'api/dead-letters',
  'api/executions',
  'api/nothing',
  'queues/api/queues',
];

/** What the page sends with what changes something. */
export const PAGE_HEADERS = { 'content-type': 'application/json', 'x-checkpoint-queue': 'dashboard' };

function send<T>({
  port,
  path,
  method = 'GET',
  headers = {},
  body,
}: Asking & { port: number; path: string }): Promise<Answer<T>> {
  return new Promise((resolve, reject) => {
    const content = body === undefined || typeof body === 'string' ? (body ?? '') : JSON.stringify(body);
    const length = content === '' ? {} : { 'content-length': String(Buffer.byteLength(content)) };
    const options = { host: '127.0.0.1', port, path, method, headers: { ...headers, ...length } };
    const sent = httpRequest(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('error', reject).on('end', () => {
        const json = response.headers['content-type']?.includes('application/json');
        resolve({
          status: response.statusCode as number,
          headers: response.headers,
          text,
          body: (json ? JSON.parse(text) : undefined) as T,
        });
      });
    });
    sent.on('error', reject);
    sent.end(content);
  });
}
