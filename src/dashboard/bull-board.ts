import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import { Queue } from 'bullmq';
import type { FastifyInstance } from 'fastify';
import { deadLetterKeys, retentionQueue } from '../redis/queue-keys.js';
import { RequestError } from './answers.js';
import type { Dashboard } from './dashboard.js';
import type { Door } from './door.js';
import { setSecurityHeaders } from './security-headers.js';

/** What is shown of a job's data: what our own jobs have, none of which is of a state. A job of somebody else may hold anything. */
const SHOWN_DATA = new Set([
  ...['sink', 'target', 'records', 'bytes'],
  ...['id', 'executionId', 'sequence', 'replays', 'sqlState', 'reason', 'firstFailedAt', 'lastFailedAt'],
  ...['jobId', 'worker', 'limits'],
]);

/**
 * bull-board, to look at the jobs of the queue, its dead letters and its retention. It cannot change anything: a chunk that is retried or
 * removed by hand would leave its payload, its marks and what waits for it behind.
 */
export async function bullBoard(
  scope: FastifyInstance,
  dashboard: Dashboard,
  door: Door,
  { basePath, dashboardPath }: { basePath: string; dashboardPath: string },
): Promise<void> {
  const queues = queuesOf(dashboard);
  scope.addHook('onClose', () => closeQueues(queues));
  const redirectStrangers = door.redirectStrangers(dashboardPath);
  scope.addHook('onRequest', async (request, reply) => {
    setSecurityHeaders(reply, 'board');
    if (request.url.startsWith(`${basePath}/api/`)) await door.checkAccess(request, reply);
    else await redirectStrangers(request, reply);
    if (reply.sent) return reply;
    if (request.method === 'GET' || request.method === 'HEAD') return undefined;
    throw new RequestError(405, 'READ_ONLY', 'queues can only be looked at here');
  });
  // BullMQ waits for a Redis that is away, for as long as that may be.
  scope.addHook('preHandler', async (request) => {
    if (request.url.startsWith(`${basePath}/api/`)) await dashboard.checkRedis();
  });
  scope.addHook('onSend', async (request, reply, payload) =>
    String(reply.getHeader('content-type')).startsWith('text/html')
      ? ownPage(String(payload), basePath, request.headers['x-forwarded-prefix'])
      : payload,
  );
  const adapter = new FastifyAdapter().setBasePath(basePath);
  createBullBoard({
    queues: queues.map((queue) => {
      const board = new BullMQAdapter(queue, { readOnlyMode: true, allowRetries: false });
      board.setFormatter('data', shownData);
      board.setFormatter('returnValue', () => null);
      return board;
    }),
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: `checkpoint-queue: ${dashboard.keys.queue}` } },
  });
  // Its own answers repeat the error's message: it is answered as all others are.
  adapter.setErrorHandler((error) => {
    throw error;
  });
  await scope.register(adapter.registerPlugin());
}

/**
 * Without the fonts that it would fetch from another company's server, and with the path that the browser sees: a reverse proxy that
 * takes a part of it away says so by `X-Forwarded-Prefix`.
 */
function ownPage(html: string, basePath: string, forwarded: string | string[] | undefined): string {
  const prefix = typeof forwarded === 'string' && /^(\/[\w.~-]+)+$/.test(forwarded) ? forwarded : '';
  return html
    .replace(/<link href="https:[^>]*>/g, '')
    .replace(`<base href="${basePath}/"`, `<base href="${prefix}${basePath}/"`);
}

function queuesOf({ keys, connection }: Dashboard): Queue[] {
  const { queue, prefix } = keys;
  return [queue, deadLetterKeys(keys).queue, retentionQueue(keys).name].map((name) => {
    const opened = new Queue(name, {
      prefix,
      connection: connection.client,
      // It only looks.
      skipMetasUpdate: true,
      skipVersionCheck: true,
    });
    opened.on('error', () => {}); // told by the calls
    return opened;
  });
}

async function closeQueues(queues: readonly Queue[]): Promise<void> {
  await Promise.allSettled(queues.map((queue) => queue.close()));
}

function shownData(data: unknown): unknown {
  if (typeof data !== 'object' || data === null) return null;
  return Object.fromEntries(Object.entries(data).filter(([field]) => SHOWN_DATA.has(field)));
}
